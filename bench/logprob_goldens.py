"""Writes log-probabilities of Hugging Face's logits: the test resource goldens/sampling/logprobs.jsonl.

    goldens=java/core/src/test/resources/goldens
    python bench/logprob_goldens.py $goldens/models/checkpoints > $goldens/sampling/logprobs.jsonl

Each line has a checkpoint of the folder, a prompt, and continuations with the log-probability of each token and of the
likeliest ones at its place, in float32. Where "generated" is true, the continuation is what `generate` writes with
do_sample = False. Cases that hang on less than 1e-3 of a log-probability are left out. Needs
`pip install torch transformers`.
"""

import json
import os
import random
import sys

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import torch
from transformers import AutoModelForCausalLM

CHECKPOINTS = ["gptj-bf16-hd80-long", "neox-v5config-odd"]
CASES = 8
TOP = 3
LEAST_DISTANCE = 1e-3


def rounded(values):
    return [round(value, 6) for value in values]


def continuation(model, prompt, tokens):
    """The line's entry, or None where the order of the likeliest tokens is unsure."""
    with torch.no_grad():
        logits = model(torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1]
    logprobs = torch.log_softmax(logits, dim=-1)
    best = logprobs.topk(TOP + 1)
    if (best.values[:, :-1] - best.values[:, 1:]).min() < LEAST_DISTANCE:
        return None
    return {
        "tokens": tokens,
        "logprobs": rounded(logprobs.gather(1, torch.tensor(tokens)[:, None])[:, 0].tolist()),
        "top_ids": best.indices[:, :TOP].flatten().tolist(),
        "top_logprobs": rounded(best.values[:, :TOP].flatten().tolist()),
    }


def generated(model, prompt, count):
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=count,
                         eos_token_id=None, pad_token_id=0)
    return out[0, len(prompt) :].tolist()


def main():
    draw = random.Random(12)
    for name in CHECKPOINTS:
        model = AutoModelForCausalLM.from_pretrained(f"{sys.argv[1]}/{name}", dtype=torch.float32).eval()
        vocabulary = range(model.config.vocab_size)
        cases = 0
        while cases < CASES:
            prompt = draw.choices(vocabulary, k=draw.choice([1, 5, 37]))
            written = cases % 4 == 0
            if written:
                texts = [generated(model, prompt, 6)]
            else:
                texts = [draw.choices(vocabulary, k=draw.choice([1, 2, 7])) for _ in range(draw.choice([1, 2, 4]))]
            entries = [continuation(model, prompt, tokens) for tokens in texts]
            if all(entries):
                cases += 1
                print(json.dumps({"checkpoint": name, "generated": written, "prompt_ids": prompt, "top": TOP,
                                  "continuations": entries}, separators=(",", ":")))


main()
