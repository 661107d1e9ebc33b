"""The prompts of a run: questions of databricks-dolly-15k in Dolly's template, with the lengths of their answers."""

import json
import re

from tokenizers import Tokenizer

from sides import BENCH

INTRO = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
ALPACA = re.compile(r".*?\n\n### Instruction:\n(.*?)(?:\n\n### Input:\n(.*))?\n\n### Response:", re.DOTALL)

# Prompts in Dolly's template, and of the same rows the answers' lengths in tokens of GPT-NeoX.
TEXTS = BENCH.parent / "java/core/src/test/resources/goldens/tokenizer/encode_prompts.jsonl"
ANSWER_TOKENS = BENCH / "serving/answer_tokens.json"

LONG_PROMPT, LONG_PROMPTS = 1500, 8
LONG_ANSWER = 8


def in_template(instruction, context):
    given = f"\n\nInput:\n{context}" if context else ""
    return f"{INTRO}\n\n### Instruction:\n{instruction}{given}\n\n### Response:\n"


def from_row(row):
    """Prompt and answer of a row in databricks-dolly-15k's schema, or of one with a prompt in Alpaca's template."""
    if "instruction" in row:
        return in_template(row["instruction"], row.get("context")), row["response"]
    instruction, context = ALPACA.fullmatch(row["prompt"]).groups()
    return in_template(instruction, context), row["answer"]


def json_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def texts_and_lengths(path, tokenizer):
    if path is None:
        return list(zip([row["text"] for row in json_lines(TEXTS)], json.loads(ANSWER_TOKENS.read_text())))
    rows = map(from_row, json_lines(path))
    return [(text, len(tokenizer.encode(answer).ids)) for text, answer in rows]


def long_texts(texts, tokenizer, tokens):
    """Prompts of nearly that many tokens, each about other contexts of these prompts."""
    found = [re.search(r"\n\nInput:\n(.*)\n\n### Response:", text, re.DOTALL) for text in texts]
    contexts = [match[1] for match in found if match]
    empty = len(tokenizer.encode(in_template("Summarize the text.", "-")).ids)
    made, part = [], ""
    for context in contexts * LONG_PROMPTS:
        part += context + "\n\n"
        encoded = tokenizer.encode(part)
        if len(encoded.ids) >= tokens - empty:
            last = encoded.offsets[tokens - empty - 1][1]
            made.append(in_template("Summarize the text.", part[:last].strip()))
            part = ""
        if len(made) == LONG_PROMPTS:
            break
    return made


def chosen(checkpoint, rows, longest_answer, longest):
    """What is asked of the sides: {"prompts": [{"text", "tokens", "new"}], "long": [the same]}.

    `rows` is a file of rows, or None for the project's own; answers are cut to `longest_answer` tokens, and prompts
    left out that have with their answer more than `longest`, or than the model's context.
    """
    config = json.loads((checkpoint / "config.json").read_text())
    context = config["max_position_embeddings"]
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))

    def prompt(text, new):
        return {"text": text, "tokens": tokenizer.encode(text).ids, "new": new}

    given = texts_and_lengths(rows, tokenizer)
    every = [prompt(text, max(1, min(length, longest_answer))) for text, length in given]
    texts = [text for text, _ in given]
    return {
        "prompts": [each for each in every if tokens_of(each) <= min(longest, context)],
        "long": [prompt(text, LONG_ANSWER) for text in long_texts(texts, tokenizer, min(LONG_PROMPT, context * 3 // 4))],
    }


def tokens_of(prompt):
    """Of prompt and answer together."""
    return len(prompt["tokens"]) + prompt["new"]


def tokens_of_longest(asked, count):
    """Of so many requests in turn, and a long one beside them, at most."""
    lengths = sorted(map(tokens_of, asked["prompts"]), reverse=True)
    times, rest = divmod(count, len(lengths))
    return times * sum(lengths) + sum(lengths[:rest]) + max(map(tokens_of, asked["long"]))
