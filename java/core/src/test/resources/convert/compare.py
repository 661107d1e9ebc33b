"""Compares converted model folders with their sources, as Hugging Face's packages read and write them.

usage: compare.py FILE; each line of FILE is "KIND SOURCE CONVERTED DTYPE": KIND is "model" (both are loaded by
AutoModelForCausalLM too) or "tensors", DTYPE is "keep" or the type of all floating-point numbers. Prints a line "ok" or
"failed" with reasons for each.
"""

import json
import os
import re
import sys
import tempfile

import safetensors.torch
import torch

BUFFER = re.compile(
    r"(.*\.|^)(attention\.(bias|masked_bias|rotary_emb\.inv_freq)|attn\.(bias|masked_bias|embed_positions))$"
)


def raw(folder):
    """All tensors of a folder, whatever they are for."""
    tensors = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".safetensors"):
            tensors.update(safetensors.torch.load_file(path))
    if tensors:
        return tensors
    for name in sorted(os.listdir(folder)):
        if name.endswith(".bin"):
            tensors.update(torch.load(os.path.join(folder, name), map_location="cpu", weights_only=True))
    return tensors


def converted(tensor, dtype):
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def same(a, b):
    """Bit by bit, but that of NaN only the fact counts: its other bits depend on how PyTorch walks a tensor."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    a, b = a.contiguous(), b.contiguous()
    if a.is_floating_point():
        nan = a.isnan()
        if not torch.equal(nan, b.isnan()):
            return False
        a, b = a.masked_fill(nan, 0), b.masked_fill(nan, 0)
    return torch.equal(a.flatten().view(torch.uint8), b.flatten().view(torch.uint8))


def differences(kind, source, target, dtype):
    reasons = []
    old, new = raw(source), raw(target)
    config = json.load(open(os.path.join(source, "config.json")))
    expected = {}
    for name, tensor in old.items():
        if kind == "model" and BUFFER.match(name):
            continue
        expected[name] = converted(tensor, dtype)
    if config.get("tie_word_embeddings") and len(expected) == len(new) + 1:
        expected.pop("embed_out.weight", None) if "embed_out.weight" in expected else expected.pop("lm_head.weight")
    if expected.keys() != new.keys():
        reasons.append(f"other names: {sorted(expected.keys() ^ new.keys())[:4]}")
    reasons += [f"'{name}' differs" for name in expected.keys() & new.keys() if not same(expected[name], new[name])]

    single = os.path.join(target, "model.safetensors")
    if os.path.exists(single):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.safetensors")
            copies = {name: tensor.contiguous().clone() for name, tensor in new.items()}
            safetensors.torch.save_file(copies, path, metadata={"format": "pt"})
            if open(path, "rb").read() != open(single, "rb").read():
                reasons.append("the safetensors package writes other bytes")
    else:
        index = json.load(open(single + ".index.json"))
        if index["metadata"]["total_size"] != sum(t.numel() * t.element_size() for t in new.values()):
            reasons.append("the index states another size")
        if index["weight_map"].keys() != new.keys():
            reasons.append("the index has other names")

    if kind == "model":
        import transformers
        from transformers import AutoModelForCausalLM

        transformers.logging.set_verbosity_error()
        one = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
        two = AutoModelForCausalLM.from_pretrained(target, dtype="auto")
        if two.dtype != (dtype or one.dtype):
            reasons.append(f"the model is loaded in {two.dtype}")
        a, b = one.state_dict(), two.state_dict()
        if a.keys() != b.keys():
            reasons.append("the loaded models have other tensors")
        reasons += [
            f"'{name}' of the loaded model differs" for name in a.keys() & b.keys()
            if not same(converted(a[name], dtype), b[name])
        ]
    return reasons


for line in open(sys.argv[1]):
    kind, source, target, name = line.split()
    reasons = differences(kind, source, target, None if name == "keep" else getattr(torch, name))
    print("failed: " + "; ".join(reasons) if reasons else "ok", flush=True)
