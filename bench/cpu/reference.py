"""Logits of a checkpoint in float32 by transformers, which every side must come close to: reference.py CHECKPOINT FILE

The file is an npz: tokens of the text below, how many of them are the prompt, and float32 [rows, vocabulary] logits
after the prompt and after each token that follows. `without_positions` are those of the same model without rotary
embedding: an example of a model that computes something else.
"""

import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "The cat sat on the mat and looked at the dog, who was sleeping in the sun near the old house by the river"
)
FOLLOWING = 4


def logits(model, tokens, **options):
    with torch.inference_mode():
        return model(torch.tensor([tokens]), **options).logits[0, -FOLLOWING - 1 :].numpy()


def main(checkpoint, path):
    tokens = AutoTokenizer.from_pretrained(checkpoint)(TEXT)["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    positions = torch.zeros(1, len(tokens), dtype=torch.long)
    with open(path, "wb") as file:
        np.savez(
            file,
            tokens=np.array(tokens),
            prompt=len(tokens) - FOLLOWING,
            logits=logits(model, tokens),
            without_positions=logits(model, tokens, position_ids=positions),
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
