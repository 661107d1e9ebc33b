package org.dolly4j;

import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.KvCacheType;
import org.dolly4j.runtime.ModelOptions.WeightType;

/**
 * What a loaded model is and how it is held.
 *
 * @param name name of its folder, {@code dolly-demo} for the demo model
 * @param architecture {@code model_type} of config.json
 * @param parameters number of weights
 * @param contextLength most tokens of prompt and answer together
 * @param layers number of blocks
 * @param hiddenSize width of the residual stream
 * @param vocabSize number of logits, padding included
 * @param dtype element type of weights
 * @param backend what runs the steps
 * @param device where they run
 * @param threads CPU threads they run on
 * @param weightBytes native memory of the weights
 * @param kvCacheDtype element type of the KV cache
 * @param kvCacheTokens tokens that the KV cache holds
 * @param kvCacheBytes native memory of the KV cache
 */
public record ModelInfo(
        String name,
        String architecture,
        long parameters,
        int contextLength,
        int layers,
        int hiddenSize,
        int vocabSize,
        WeightType dtype,
        Backend backend,
        String device,
        int threads,
        long weightBytes,
        KvCacheType kvCacheDtype,
        int kvCacheTokens,
        long kvCacheBytes) {}
