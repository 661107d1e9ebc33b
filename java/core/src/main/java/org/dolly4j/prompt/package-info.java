/** Dolly's prompt: the only templates, what a conversation becomes, and where the answer ends. Text only, no tokens. */
package org.dolly4j.prompt;
