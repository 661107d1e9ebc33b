"""Writes what Hugging Face's beam search finds: the test resource goldens/sampling/beam.jsonl.

    goldens=java/core/src/test/resources/goldens
    python bench/beam_goldens.py $goldens/models/checkpoints > $goldens/sampling/beam.jsonl

Each line has a checkpoint of the folder, a prompt, the options, and the answers with their scores, in float32. Cases
whose order hangs on less than 1e-4 of a score are left out. Needs `pip install torch transformers`.
"""

import json
import os
import random
import sys

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import torch
from transformers import AutoModelForCausalLM

CHECKPOINTS = ["gptj-bf16-hd80-long", "neox-v5config-odd"]
CASES = 18
CASES_WITH_MORE = 8
LEAST_DISTANCE = 1e-4


def options(draw, likely):
    beams = draw.choice([2, 3, 4])
    params = {
        "num_beams": beams,
        "length_penalty": draw.choice([-1.0, 0.0, 1.0, 2.0]),
        "early_stopping": draw.choice([False, True, "never"]),
        "num_return_sequences": draw.randint(1, beams),
        "max_new_tokens": draw.choice([5, 12]),
        "eos_token_id": draw.sample(likely, draw.choice([1, 2])),
        "pad_token_id": 0,
    }
    if draw.random() < 0.3:
        params["repetition_penalty"] = 1.3
    if draw.random() < 0.3:
        params["no_repeat_ngram_size"] = 2
    return params


def more_options(draw, likely):
    params = options(draw, likely) | {"num_beams": 6, "num_return_sequences": draw.randint(1, 6)}
    changes = [
        {"renormalize_logits": True, "repetition_penalty": 1.5},
        {"min_new_tokens": 4},
        {"forced_eos_token_id": params["eos_token_id"][:1]},
        {"sequence_bias": [[[token], draw.choice([-4.0, 3.0])] for token in draw.sample(likely, 3)]},
    ]
    for change in draw.sample(changes, 2):
        params |= change
    return params


def generate(model, prompt, params):
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, output_scores=True,
                         return_dict_in_generate=True, **params)
    sequences = []
    for row in out.sequences[:, len(prompt) :].tolist():
        ends = [i for i, token in enumerate(row) if token in params["eos_token_id"]]
        sequences.append(row[: ends[0] + 1] if ends else row)
    return sequences, out.sequences_scores.tolist()


def is_sure(model, prompt, params, sequences):
    """Whether a float64 run and scores apart from each other say the same."""
    double, scores = generate(model.double(), prompt, params)
    model.float()
    return double == sequences and all(a - b > LEAST_DISTANCE for a, b in zip(scores, scores[1:]))


def main():
    torch.manual_seed(0)
    draw = random.Random(11)
    for name in CHECKPOINTS:
        model = AutoModelForCausalLM.from_pretrained(f"{sys.argv[1]}/{name}", dtype=torch.float32).eval()
        vocabulary = model.config.vocab_size
        cases = 0
        while cases < CASES + CASES_WITH_MORE:
            prompt = draw.choices(range(vocabulary), k=draw.choice([1, 4, 20]))
            with torch.no_grad():
                likely = model(torch.tensor([prompt])).logits[0, -1].topk(12).indices.tolist()
            params = options(draw, likely) if cases < CASES else more_options(draw, likely)
            sequences, scores = generate(model, prompt, params)
            if is_sure(model, prompt, params, sequences):
                cases += 1
                print(json.dumps({"checkpoint": name, "prompt_ids": prompt, "params": params, "sequences": sequences,
                                  "scores": scores}))


main()
