"""Writes what Hugging Face's logits processors make of small rows: the test resource goldens/sampling/processors.jsonl.

    python bench/sampling_goldens.py > java/core/src/test/resources/goldens/sampling/processors.jsonl

Each line is a case in the form of sampling.jsonl, whose options sampling.jsonl does not have: biases of sequences, forced
tokens. Needs `pip install torch transformers`.
"""

import json
import random

import numpy as np
import torch
from transformers import GenerationConfig, GPTNeoXConfig, GPTNeoXForCausalLM

VOCABULARY = 16
EOS = [3, 5]
CASES = 48


def model():
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    return GPTNeoXForCausalLM(config)


def biases(draw, history):
    """Of single tokens, of sequences that the history begins, and of some that it does not."""
    pairs = {}
    for _ in range(draw.randint(1, 4)):
        length = draw.choice([1, 1, 2, 3])
        prefix = history[len(history) - length + 1 :] if draw.random() < 0.7 else draw.choices(range(VOCABULARY), k=length - 1)
        pairs[(*prefix, draw.randrange(VOCABULARY))] = round(draw.uniform(-6, 6), 3)
    return [[list(ids), bias] for ids, bias in pairs.items()]


def options(draw, history, prompt_length):
    params = {}
    if draw.random() < 0.7:
        params["sequence_bias"] = biases(draw, history)
    if draw.random() < 0.3:
        params["forced_bos_token_id"] = draw.randrange(VOCABULARY)
    if draw.random() < 0.4:
        params["forced_eos_token_id"] = draw.choice([EOS[:1], EOS])
        params["max_new_tokens"] = len(history) - prompt_length + draw.choice([1, 1, 2])
    if draw.random() < 0.3:
        params["repetition_penalty"] = 1.3
    if draw.random() < 0.2:
        params["suppress_tokens"] = [draw.randrange(VOCABULARY)]
    if draw.random() < 0.3:
        params["temperature"] = 0.7
    return params


def numbers(row):
    """The shortest decimals that give the same float32; null for negative infinity."""
    return [None if value == -np.inf else float(str(np.float32(value))) for value in row.tolist()]


def case(lm, draw):
    history = draw.choices(range(VOCABULARY), k=draw.choice([1, 1, 3, 8]))
    prompt_length = draw.randint(1, len(history))
    params = options(draw, history, prompt_length)
    logits = torch.tensor([[draw.gauss(0, 3) for _ in range(VOCABULARY)]])
    stated = {"max_new_tokens": 100} | params
    config = GenerationConfig(do_sample=True, top_k=0, eos_token_id=EOS, pad_token_id=0, **stated)
    prepared, _ = lm._prepare_generation_config(config)
    lm._prepare_special_tokens(prepared, False, device="cpu")
    prepared.max_length = prompt_length + stated["max_new_tokens"]
    processors = lm._get_logits_processor(prepared, input_ids_seq_length=prompt_length, device="cpu")
    scores = processors(torch.tensor([history]), logits.clone())[0]
    kept = [i for i, score in enumerate(scores.tolist()) if score != -np.inf]
    return {
        "logits": numbers(logits[0]),
        "history": history,
        "prompt_length": prompt_length,
        "eos": EOS,
        "params": params,
        "processors": [type(processor).__name__ for processor in processors],
        "scores": numbers(scores),
        "kept": kept,
        "probs": numbers(torch.softmax(scores[kept], -1)),
    }


def main():
    draw = random.Random(7)
    lm = model()
    for _ in range(CASES):
        print(json.dumps(case(lm, draw)))


main()
