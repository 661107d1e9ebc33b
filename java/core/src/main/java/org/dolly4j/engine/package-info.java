/**
 * Decides what a model's session runs next, on integers only: tokens, blocks, counts.
 * {@link org.dolly4j.engine.Scheduler} takes requests from any thread; each {@link org.dolly4j.engine.Request} hands
 * its events to whoever waits for them.
 */
package org.dolly4j.engine;
