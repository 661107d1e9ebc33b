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


def to(dtype):
    def hook(module, *_):
        module.to(dtype)

    return hook


def float32_model(checkpoint):
    """Computes in float32 and holds a layer's weights so only while it runs: half the memory, and the same numbers."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto").eval()
    stored = model.dtype
    for layer in model.gpt_neox.layers:
        layer.register_forward_pre_hook(to(torch.float32))
        layer.register_forward_hook(to(stored))
    for module in (model.gpt_neox.embed_in, model.gpt_neox.final_layer_norm, model.get_output_embeddings()):
        module.to(torch.float32)
    return model


def main(checkpoint, path):
    tokens = AutoTokenizer.from_pretrained(checkpoint)(TEXT)["input_ids"]
    model = float32_model(checkpoint)
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
