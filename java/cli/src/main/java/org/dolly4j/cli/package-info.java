/** The command line: {@code dolly}, and its commands {@code tokenize}, {@code info} and {@code check}. */
package org.dolly4j.cli;
