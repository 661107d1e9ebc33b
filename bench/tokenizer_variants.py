"""Writes what Hugging Face makes of unusual tokenizers: the test resource tokenizers/small/variants.jsonl.

    small=java/core/src/test/resources/tokenizers/small
    python bench/tokenizer_variants.py $small/tokenizer.json > variants.jsonl && mv variants.jsonl $small

Each line is a variant of a small byte-level BPE tokenizer: a JSON merge patch (RFC 7396) for its tokenizer.json, the
files beside it, and for some texts the ids and the decoded text. Needs `pip install transformers tokenizers`.
"""

import copy
import json
import os
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from transformers import AutoTokenizer

END_OF_TEXT = "<|endoftext|>"
KEYS = ["### End", "### Instruction:", "### Response:\n"]


def token(content, **flags):
    fields = {"content": content, "special": False, "single_word": False, "lstrip": False, "rstrip": False}
    return fields | {"normalized": False} | flags


def added(*more):
    """The base's added tokens and more, numbered from 270."""
    tokens = [{"id": 0} | token(END_OF_TEXT, special=True)]
    tokens += [{"id": 267 + i} | token(key, special=True) for i, key in enumerate(KEYS)]
    return {"added_tokens": tokens + [{"id": 270 + i} | t for i, t in enumerate(more)]}


def merge_patch(target, patch):
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def byte_level(**fields):
    return {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True} | fields}


SPACES = ["a   <x>   <x>  b", "a<x>    b", "   <x>", "<x>", "\u3000<x>\u2028b<x>\t", "<x> <x>", "a <x>"]
WORDS = ["the", "athe", "the a the", "\u00e9the", "the\u200d", "_the", "the\u0301", "the!", "9the", "the\U0001D7D8"]
MARKS = ["ae\u0301xb", "a\u00e9xb", "e\u0301x\u00e9xe\u0301\u0316x", "\u00e9x e\u0301x"]
NEOX = {"tokenizer_class": "GPTNeoXTokenizer"}
NAMED = ["a<|padding|><|endoftext|>### End<x>"]
KEYED = ["a### End<x> <y>", "### Response:\n<x>### Ends<|endoftext|>", "<x><y>the in"]
CLEAN = ["a . b ? c ! d , e", "it 's n't 're 've 'm", "a ' b ' c ' ", "  .  ,", " ' ' ' .", " n't n 't", "the '", " ", "'re .' "]

GPT2 = {"tokenizer_class": "GPT2Tokenizer"}

# name, tokenizer patch, files beside, texts
VARIANTS = [
    ("prefix space", byte_level(add_prefix_space=True), {}, ["", "a", " a", "a### Endb", "### End", "  a", "\u3000a"]),
    ("prefix space of the config", {}, {"tokenizer_config": NEOX | {"add_prefix_space": True}}, ["a", " a", "a### Endb"]),
    ("prefix space of the config, another class", {}, {"tokenizer_config": {"add_prefix_space": True}}, ["a", " a"]),
    ("prefix space, the config says no", byte_level(add_prefix_space=True), {"tokenizer_config": {"add_prefix_space": False}},
     ["a", " a"]),
    ("prefix space, GPT-NeoX's class", byte_level(add_prefix_space=True), {"tokenizer_config": NEOX}, ["a", " a"]),
    ("GPT-NeoX's class", {}, {"tokenizer_config": NEOX}, NAMED),
    ("GPT-NeoX's model", {}, {"config": {"model_type": "gpt_neox"}}, NAMED),
    ("GPT-NeoX's class, named in the model's config", {}, {"config": NEOX | {"model_type": "gptj"}}, NAMED),
    ("GPT-NeoX's model, another class", {}, {"config": {"model_type": "gpt_neox"},
     "tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast"}}, NAMED),
    ("GPT-NeoX's class as it was called", {}, {"tokenizer_config": {"tokenizer_class": "GPTNeoXTokenizerFast"}}, NAMED),
    ("GPT-NeoX's class, names stated", {}, {"tokenizer_config": NEOX | {"eos_token": None, "unk_token": "### End"},
     "special_tokens_map": {"pad_token": "<x>"}}, NAMED),
    ("GPT-NeoX's class, other steps", {"normalizer": None} | byte_level(use_regex=False), {"tokenizer_config": NEOX},
     MARKS + ["the in the"]),
    ("GPT-2's class", {}, {"tokenizer_config": GPT2}, MARKS + NAMED),
    ("GPT-2's class as it was called", {}, {"tokenizer_config": {"tokenizer_class": "GPT2TokenizerFast"}}, MARKS + NAMED),
    ("GPT-2's class, prefix space of the config", {}, {"tokenizer_config": GPT2 | {"add_prefix_space": True}}, ["a", " a"]),
    ("GPT-2's class, names stated", {}, {"tokenizer_config": GPT2 | {"eos_token": "### End", "pad_token": "<x>"}}, NAMED),
    ("GPT-2's class, bos and eos not added", {}, {"tokenizer_config": GPT2 | {"add_bos_token": True, "add_eos_token": True}},
     NAMED),
    ("GPT-J's model", {}, {"config": {"model_type": "gptj"}}, MARKS + NAMED),
    ("GPT-2's class, another model", {"model": {"ignore_merges": True, "vocab": {"dog": 267}, "unk_token": "b",
                                                "byte_fallback": True},
     "added_tokens": [{"id": 0} | token(END_OF_TEXT, special=True)]}, {"tokenizer_config": GPT2}, ["dog dogs", "abc"]),
    ("no regex", byte_level(use_regex=False), {}, ["the in the", " the the", "the\n\nin"]),
    ("no normalizer", {"normalizer": None}, {}, MARKS),
    ("sequences", {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
                   "decoder": {"type": "Sequence", "decoders": [
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]}}, {}, MARKS),
    ("template", {"post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}],
                  "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                  "special_tokens": {}}}, {}, ["the in the"]),
    ("truncation", {"truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}}, {},
     ["the in the in the"]),
    ("byte missing", {"model": {"vocab": {"b": None}}, "added_tokens": [{"id": 0} | token(END_OF_TEXT, special=True)]},
     {}, ["abc", "b", "bob"]),
    ("unknown token without effect", {"model": {"unk_token": END_OF_TEXT, "fuse_unk": True}}, {}, ["abc\u00e9"]),
    ("whole words", {"model": {"ignore_merges": True, "vocab": {"dog": 267, "\u0120\u00c3\u00a9": 268}},
                     "added_tokens": [{"id": 0} | token(END_OF_TEXT, special=True)]}, {}, ["dog dogs \u00e9 dog"]),
    ("merges as pairs", {"model": {"merges": [["h", "e"], ["t", "he"]], "vocab": {"the": 267}},
                         "added_tokens": [{"id": 0} | token(END_OF_TEXT, special=True)]}, {}, ["the he t he", "thethe"]),
    ("a merge twice", {"model": {"merges": ["t h", "h e", "t h"], "vocab": {"th": 267}},
                       "added_tokens": [{"id": 0} | token(END_OF_TEXT, special=True)]}, {}, ["the th he"]),
    ("empty affixes", {"model": {"continuing_subword_prefix": "", "end_of_word_suffix": "", "dropout": 0.0}}, {}, ["the"]),
    ("strip both sides", added(token("<x>", lstrip=True, rstrip=True), token("  ")), {}, SPACES),
    ("strip left", added(token("<x>", lstrip=True), token(" <x>")), {}, SPACES),
    ("strip right", added(token("<x>", rstrip=True), token(" ", normalized=True)), {}, SPACES),
    ("single word", added(token("the", single_word=True)), {}, WORDS),
    ("single word, normalized", added(token("the", single_word=True, normalized=True)), {}, WORDS),
    ("normalized", added(token("e\u0301x", normalized=True)), {}, MARKS),
    ("not normalized", added(token("e\u0301x")), {}, MARKS),
    ("spelt like bytes", added(token("\u00e9\u0120z")), {}, ["a\u00e9\u0120zb", "\u00e9"]),
    ("overlapping", added(token("<x>"), token("<x><y>"), token("x>"), token("y><x", special=True)), {},
     ["<x><y><x>", "<x<x><y", "<<x>>", "x>y><x><y>"]),
    ("special and not", added(token("<x>", special=True), token("x><y>")), {}, ["<x><y>", "x><y>", "<x>x><y>"]),
    ("declared in the config", {}, {"tokenizer_config": {"eos_token": END_OF_TEXT, "added_tokens_decoder": {
        "0": token(END_OF_TEXT, special=True), "267": token("### End", special=True, lstrip=True),
        "270": token("<x>", normalized=True)}}, "special_tokens_map": {"eos_token": "<y>"}}, KEYED + ["a  ### End"]),
    ("eos of the config", {}, {"tokenizer_config": {"eos_token": "### End"}}, KEYED),
    ("eos of the map", {}, {"tokenizer_config": {"eos_token": END_OF_TEXT}, "special_tokens_map": {"eos_token": "### End"}},
     KEYED),
    ("new eos by fields", {}, {"special_tokens_map": {"eos_token": {"content": "<x>", "lstrip": True, "normalized": False,
     "rstrip": False, "single_word": False}}}, KEYED + ["a  <x>"]),
    ("no eos", {}, {"tokenizer_config": {"eos_token": None}}, KEYED),
    ("named and not special", {"added_tokens": [t | {"special": t["content"] != "### End"} for t in added()["added_tokens"]]},
     {"tokenizer_config": {"eos_token": "### End"}}, KEYED),
    ("further and not special", {"added_tokens": [t | {"special": t["content"] != "### End"} for t in added()["added_tokens"]]},
     {"tokenizer_config": {"additional_special_tokens": ["### End", "<x>"]}}, KEYED),
    ("additional of the map", {}, {"tokenizer_config": {"eos_token": END_OF_TEXT},
     "special_tokens_map": {"additional_special_tokens": ["<x>", "<y>"], "pad_token": "<p>"}}, KEYED + ["<p>"]),
    ("extra before additional", {}, {"tokenizer_config": {"extra_special_tokens": ["<x>"],
     "additional_special_tokens": ["<y>"]}}, KEYED),
    ("extra by fields", {}, {"tokenizer_config": {"extra_special_tokens": [{"__type": "AddedToken"} | token("<x>", lstrip=True)]}},
     KEYED + ["a  <x>"]),
    ("names of their own", {}, {"tokenizer_config": {"eos_token": END_OF_TEXT, "image_token": "<x>",
     "extra_special_tokens": {"foo_token": "<y>"}}}, KEYED),
    ("added_tokens.json", {}, {"tokenizer_config": {"eos_token": END_OF_TEXT, "pad_token": "<y>"},
     "added_tokens": {"<x>": 270, "<y>": 271}}, KEYED),
    ("named and further, with flags that differ", {}, {"tokenizer_config": {"unk_token": "<x>"}, "special_tokens_map": {
     "pad_token": {"content": "<x>", "lstrip": True, "normalized": False, "rstrip": True, "single_word": False},
     "cls_token": {"content": "<y>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": True},
     "additional_special_tokens": ["<y>", "<x>"]}}, SPACES + ["a <y>a"]),
    ("no further ones in the config", {}, {"tokenizer_config": {"additional_special_tokens": []},
     "special_tokens_map": {"additional_special_tokens": ["<x>"]}}, KEYED),
    ("white space already taken", added(token("<x>", rstrip=True), token("\n", lstrip=True),
     token("\u00a0", lstrip=True, rstrip=True)), {},
     ["<x>  \n", "<x>\na", "a\n<x>", "\n\n<x>", "<x> \u00a0 \u00a0b", "\u00a0 \u00a0", " \n \n"]),
    ("split special tokens", {}, {"tokenizer_config": {"split_special_tokens": True}}, KEYED),
    ("bos and eos not added", {}, {"tokenizer_config": {"add_bos_token": True, "add_eos_token": True,
     "bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}}, KEYED),
    ("spaces not cleaned up", {}, {"tokenizer_config": {"clean_up_tokenization_spaces": True}}, CLEAN),
    ("spaces not cleaned up either", {}, {"tokenizer_config": {
     "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True}}, CLEAN),
    ("spaces cleaned up", {}, {"tokenizer_config": {"clean_up_tokenization_spaces": True,
     "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True}}, CLEAN),
]

# The same with the model's vocabulary as vocab.json and its merges as merges.txt in the place of tokenizer.json.
VOCABULARY_VARIANTS = [
    ("GPT-2's class", {}, {"tokenizer_config": GPT2}, MARKS + NAMED + ["the in the"]),
    ("GPT-NeoX's class", {}, {"tokenizer_config": NEOX}, MARKS + NAMED),
    ("GPT-J's model", {}, {"config": {"model_type": "gptj"}}, MARKS + NAMED),
    ("prefix space", {}, {"tokenizer_config": GPT2 | {"add_prefix_space": True}}, ["a", " a", "a<|endoftext|>b"]),
    ("added_tokens.json", {}, {"tokenizer_config": GPT2, "added_tokens": {"<x>": 267, "### End": 268},
     "special_tokens_map": {"bos_token": {"content": END_OF_TEXT, "lstrip": False, "normalized": True, "rstrip": False,
                                          "single_word": False}, "pad_token": "### End"}}, NAMED + KEYED),
    ("declared in the config", {}, {"tokenizer_config": GPT2 | {"added_tokens_decoder": {
        "0": token(END_OF_TEXT, special=True), "267": token("### End", special=True)}}}, NAMED + KEYED),
    ("additional of the map", {}, {"tokenizer_config": NEOX, "special_tokens_map": {
        "additional_special_tokens": ["### End", "### Response:\n"]}}, NAMED + KEYED),
]


def write(folder, tokenizer, files, as_vocabulary):
    contents = dict(files)
    if as_vocabulary:
        contents["vocab"] = tokenizer["model"]["vocab"]
        with open(f"{folder}/merges.txt", "w", encoding="utf-8") as out:
            out.write("#version: 0.2\n" + "".join(merge + "\n" for merge in tokenizer["model"]["merges"]))
    else:
        contents["tokenizer"] = tokenizer
    for file, content in contents.items():
        with open(f"{folder}/{file}.json", "w") as out:
            json.dump(content, out)


def main():
    base = json.load(open(sys.argv[1]))
    variants = [(*variant, False) for variant in VARIANTS] + [(*variant, True) for variant in VOCABULARY_VARIANTS]
    for name, patch, files, texts, as_vocabulary in variants:
        with tempfile.TemporaryDirectory() as folder:
            write(folder, merge_patch(copy.deepcopy(base), patch), files, as_vocabulary)
            tokenizer = AutoTokenizer.from_pretrained(folder)
        cases = []
        for text in texts:
            ids = tokenizer(text)["input_ids"]
            cases.append({
                "text": text,
                "ids": ids,
                "ids_split_special": tokenizer(text, split_special_tokens=True)["input_ids"],
                "decoded": tokenizer.decode(ids),
                "decoded_skip_special": tokenizer.decode(ids, skip_special_tokens=True),
            })
        eos = tokenizer.eos_token_id
        variant = {"name": name, "patch": patch, "files": files, "as_vocabulary": as_vocabulary, "eos": eos}
        print(json.dumps(variant | {"size": len(tokenizer), "cases": cases}))


main()
