/**
 * Runs the requests of many threads together. {@link org.dolly4j.engine.Engine} takes them from any thread and runs
 * steps on its own; its scheduler decides what a step runs, on integers only: tokens, blocks, counts. Each {@link
 * org.dolly4j.engine.Request} hands its events to whoever waits for them.
 */
package org.dolly4j.engine;
