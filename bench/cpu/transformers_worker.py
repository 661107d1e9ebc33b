"""Hugging Face transformers on torch's CPU kernels: transformers_worker.py CHECKPOINT bfloat16|float32 THREADS"""

import sys

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, DynamicCache

import worker


class Transformers:
    def __init__(self, checkpoint, dtype, threads):
        torch.set_num_threads(threads)
        self.model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=getattr(torch, dtype)).eval()
        self.state = None  # batch, context, cache of that many tokens

    def describe(self):
        return {
            "version": f"transformers {transformers.__version__}, torch {torch.__version__}",
            "features": f"torch {torch.backends.cpu.get_cpu_capability()}, attention "
            f"{self.model.config._attn_implementation}, {torch.get_num_threads()} threads",
        }

    def forward(self, tokens, cache):
        """Logits after the last token of each row, float32 [batch, vocabulary]."""
        with torch.inference_mode():
            output = self.model(torch.tensor(tokens), past_key_values=cache, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1].float()

    def filled_cache(self, batch, context):
        config = self.model.config
        cache = DynamicCache(config=config)
        heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        for layer in range(config.num_hidden_layers):
            keys, values = torch.randn(2, batch, heads, context, size, dtype=self.model.dtype)
            cache.update(keys, values, layer)
        return cache

    def logits(self, prompt, following):
        cache = DynamicCache(config=self.model.config)
        rows = [self.forward([prompt], cache)]
        rows += [self.forward([[token]], cache) for token in following]
        return np.concatenate([row.numpy() for row in rows])

    def prefill(self, tokens):
        prompt = [worker.prompt(0, tokens)]

        def run(_):
            self.state = None
            cache = DynamicCache(config=self.model.config)
            return tokens, worker.timed(lambda: self.forward(prompt, cache).argmax(-1))[1]

        return run

    def decode(self, batch, context, steps):
        if self.state is None or self.state[:2] != (batch, context):
            self.state = None
            self.state = batch, context, self.filled_cache(batch, context)
        cache = self.state[2]

        def run(seconds):
            tokens = [[100 + sequence] for sequence in range(batch)]

            def step():
                nonlocal tokens
                tokens = self.forward(tokens, cache).argmax(-1, keepdim=True).tolist()

            done, elapsed = worker.timed_steps(seconds, steps, step)
            cache.crop(-done)
            return batch * done, elapsed

        return run


if __name__ == "__main__":
    side = Transformers(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    worker.serve(side, worker.throughput(side))
