/** {@link org.dolly4j.EngineMetrics} as meters of Micrometer, which is an optional dependency of this library. */
package org.dolly4j.micrometer;
