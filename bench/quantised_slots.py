#!/usr/bin/env python3
"""What quantising each kind of matrix costs by itself: which of them to keep at int8 where the others are int4, and
whether int8 needs a scale for each group of inputs.

  bench/quantised_slots.py --model DIR --evaluation FILE

Weights alone are quantised, and put back into float32; inputs stay as they are, and columns are not evened out
(QuantisationLoss measures the whole). KL is the divergence, in nats, of the next token's distribution from that of the
model in float32, over the tokens of the answers. FILE has a line of JSON for each question: instruction, and
greedy_ids, the tokens of the answer. Needs the Python packages of bench/cpu/requirements.txt. Prints Markdown.
"""

import argparse
import json

import torch
import transformers

INTRO = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
PROMPT = INTRO + "\n\n### Instruction:\n{}\n\n### Response:\n"
GROUP = 64  # inputs that share a scale, as in native/src/ops/quantization.h
DIVISORS = (7, 7.5, 8, 8.5, 9, 10)  # of the largest weight of a group, as there
SLOTS = {
    "query_key_value": "QKV",
    "attention.dense": "dense",
    "dense_h_to_4h": "FC1",
    "dense_4h_to_h": "FC2",
    "embed_out": "head",
    "lm_head": "head",
}


def quantised(weights, low, high, group, divisors):
    """A scale for each group of inputs: that of the largest weight, or of several divisors the one with the least
    squared error, after each was adjusted to its rounded weights.
    """
    rows, inputs = weights.shape
    groups = weights.reshape(rows, -1, group or inputs)
    largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
    best = error = None
    for divisor in divisors:
        steps = torch.where(largest != 0, largest / -divisor, 1.0)
        numbers = (groups / steps).round().clamp(low, high)
        if len(divisors) > 1:
            squares = numbers.square().sum(-1, keepdim=True)
            steps = torch.where(squares > 0, (groups * numbers).sum(-1, keepdim=True) / squares, steps)
            numbers = (groups / torch.where(steps != 0, steps, 1.0)).round().clamp(low, high)
        other = numbers * steps
        other_error = (other - groups).square().sum(-1, keepdim=True)
        if error is None:
            best, error = other, other_error
        better = other_error < error
        best = torch.where(better, other, best)
        error = torch.where(better, other_error, error)
    return best.reshape(rows, inputs)


TYPES = {
    "int8": lambda weights: quantised(weights, -127, 127, None, [127]),
    "int8 by groups": lambda weights: quantised(weights, -127, 127, GROUP, [127]),
    "int4": lambda weights: quantised(weights, -8, 7, GROUP, DIVISORS),
}


def slot_of(name):
    return next((slot for ending, slot in SLOTS.items() if name.endswith(ending)), None)


@torch.inference_mode()
def log_probabilities(model, questions):
    rows = []
    for prompt, answer in questions:
        tokens = torch.tensor([prompt + answer[:-1]])
        rows.append(model(tokens).logits[0, len(prompt) - 1 :].double().log_softmax(-1))
    return torch.cat(rows)


def divergence(model, matrices, types, questions, exact):
    """Mean KL with the matrices of some slots in other types."""
    for slot, matrix, weights in matrices:
        matrix.weight.data = TYPES[types[slot]](weights) if slot in types else weights
    other = log_probabilities(model, questions)
    return (exact.exp() * (exact - other)).sum(-1).mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--evaluation", required=True)
    options = parser.parse_args()
    model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    questions = []
    with open(options.evaluation) as lines:
        for line in map(json.loads, lines):
            questions.append((tokenizer.encode(PROMPT.format(line["instruction"])), line["greedy_ids"]))
    matrices = [
        (slot_of(name), module, module.weight.data)
        for name, module in model.named_modules()
        if slot_of(name) is not None
    ]
    slots = list(dict.fromkeys(slot for slot, _, _ in matrices))
    exact = log_probabilities(model, questions)

    def mean_kl(types):
        return f"{divergence(model, matrices, types, questions, exact):.2g}"

    print("| all matrices | mean KL |\n|---|---|")
    for name in TYPES:
        print(f"| {name} | {mean_kl(dict.fromkeys(slots, name))} |")
    print("\n| | int4 alone, the others float32 | int8, the others int4 | int8 with the head, the others int4 |")
    print("|---|---|---|---|")
    for slot in slots:
        alone = mean_kl({slot: "int4"})
        spared = mean_kl({**dict.fromkeys(slots, "int4"), slot: "int8"})
        both = mean_kl({**dict.fromkeys(slots, "int4"), slot: "int8", "head": "int8"})
        print(f"| {slot} | {alone} | {spared} | {both} |")


if __name__ == "__main__":
    main()
