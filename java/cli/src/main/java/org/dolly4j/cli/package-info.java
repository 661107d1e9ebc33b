/** The command line: {@code dolly}, and its commands. */
package org.dolly4j.cli;
