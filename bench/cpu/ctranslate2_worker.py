"""CTranslate2 in int8: ctranslate2_worker.py MODEL THREADS"""

import json
import logging
import os
import re
import sys
import tempfile
import time

os.environ["CT2_VERBOSE"] = "1"  # read when the package is imported: it then logs which CPU features it uses

import ctranslate2
import numpy as np

import worker


def logged(run):
    """The result of run, and the messages that it logged."""
    with tempfile.TemporaryFile("w+") as log:
        stderr = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            result = run()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        log.seek(0)
        return result, [re.sub(r"^(\[.*?\] )*", "", line).strip() for line in log]


class CTranslate2:
    def __init__(self, model, threads):
        ctranslate2.set_log_level(logging.INFO)
        self.generator, messages = logged(
            lambda: ctranslate2.Generator(model, device="cpu", compute_type="int8", intra_threads=threads)
        )
        wanted = ("CPU:", "- Selected ISA", "- Use Intel MKL", "- GEMM_S8 backend", "- SGEMM backend")
        self.features = [message.lstrip("- ") for message in messages if message.startswith(wanted)]
        with open(f"{model}/vocabulary.json", encoding="utf-8") as vocabulary:
            self.tokens = json.load(vocabulary)

    def describe(self):
        return {
            "version": f"ctranslate2 {ctranslate2.__version__}",
            "features": "; ".join([f"compute type {self.generator.compute_type}", *self.features]),
        }

    def logits(self, prompt, following):
        # One pass over all tokens: the package has no call that decodes given tokens one by one.
        logits = np.array(self.generator.forward_batch([self.names(prompt + following)], return_log_probs=False))
        return logits[0, len(prompt) - 1 :]

    def names(self, ids):
        return [self.tokens[i] for i in ids]

    def generate(self, prompts, new_tokens, static=None, seconds=float("inf")):
        """Times at which each step had chosen its tokens, the first that of the prompt's pass; ends with the time."""
        times = []

        def chosen(result):  # called for each sequence; true ends it
            if result.step == len(times):
                times.append(time.perf_counter())
            return times[-1] - times[0] >= seconds and len(times) > 1

        self.generator.generate_batch(
            prompts,
            static_prompt=static,
            cache_static_prompt=static is not None,
            max_length=new_tokens,
            min_length=new_tokens,
            include_prompt_in_result=False,
            max_batch_size=0,
            callback=chosen,
        )
        return times

    def prefill(self, tokens):
        prompt = self.names(worker.prompt(0, tokens))

        def run(_):
            start = time.perf_counter()
            return tokens, self.generate([prompt], 1)[0] - start

        return run

    def decode(self, batch, context, steps):
        # The package keeps only a prompt that all sequences share from one call to the next.
        shared = self.names(worker.prompt(0, context - 1))
        last = [self.names([100 + sequence]) for sequence in range(batch)]

        def run(seconds):
            times = self.generate(last, steps + 1, shared, seconds)
            return batch * (len(times) - 1), times[-1] - times[0]

        return run


if __name__ == "__main__":
    side = CTranslate2(sys.argv[1], int(sys.argv[2]))
    worker.serve(side, worker.throughput(side))
