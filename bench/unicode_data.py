"""Writes the Unicode facts of the tokenizer (org/dolly4j/tokenizer/unicode.txt in java/core's resources).

    python bench/unicode_data.py java/core/src/test/resources/goldens/tokenizer/unicode_tables.json > unicode.txt

The letter, number and space classes come from unicode_tables.json of the goldens. The rest is measured on the
`tokenizers` package, or taken from Python's own Unicode tables as far as the package agrees with them:

- word characters beside letters: what an added token with single_word=True may not touch;
- combining classes: Python's, less those of marks that the package does not reorder;
- decompositions: Python's, less those that the package does not know.

Needs `pip install tokenizers` and a Python whose Unicode is 9 or later.
"""

import json
import sys
import unicodedata

from tokenizers import AddedToken, Tokenizer, models, normalizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
WIDTH = 118

HEADER = """\
# Unicode as Hugging Face's tokenizers see it; written by bench/unicode_data.py, read by UnicodeData. All numbers hex.
#   letter, number, space   \\p{L}, \\p{N}, \\s of the ByteLevel pre-tokenizer's regex: Unicode 16
#   word                    \\w of added tokens with single_word, beside the letters: Unicode 16
#   ccc-N                   code points of canonical combining class N (N decimal): about Unicode 9
#   compose                 A=B,C: A decomposes canonically to B C, and B C composes to A: about Unicode 9
#   decompose               A=B or A=B,C: A decomposes, but nothing composes to A: about Unicode 9
# Hangul syllables are arithmetic and not listed. Decompositions are one level deep."""


def ranges(code_points):
    """Inclusive [first, last] runs of the sorted code points."""
    runs = []
    for c in sorted(code_points):
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return runs


def range_words(runs):
    return [f"{first:X}" if first == last else f"{first:X}-{last:X}" for first, last in runs]


def print_words(key, words):
    line = key
    for word in words:
        if len(line) + 1 + len(word) > WIDTH:
            print(line)
            line = key
        line += " " + word
    print(line)


def word_characters():
    tokenizer = Tokenizer(models.BPE({"a": 0}, []))
    tokenizer.add_tokens([AddedToken("token", normalized=False, single_word=True)])
    encodings = tokenizer.encode_batch(["token" + chr(c) for c in CODE_POINTS])
    return [c for c, encoding in zip(CODE_POINTS, encodings) if 1 not in encoding.ids]


def combining_classes(nfd):
    """Code points by combining class; a mark counts only if the package moves it, or moves another past it."""
    classes = {}
    for c in CODE_POINTS:
        ccc = unicodedata.combining(chr(c))
        if ccc == 0:
            continue
        low, high = chr(0x334), chr(0x345)  # classes 1 and 240
        before, after = f"a{chr(c)}{low}", f"a{high}{chr(c)}"
        if nfd.normalize_str(before) != before or nfd.normalize_str(after) != after:
            classes.setdefault(ccc, []).append(c)
    return classes


def main():
    tables = json.load(open(sys.argv[1]))
    nfc, nfd = normalizers.NFC(), normalizers.NFD()
    print(HEADER)
    for key in ("letter", "number", "space"):
        print_words(key, range_words(tables[key]))
    letters = {c for first, last in tables["letter"] for c in range(first, last + 1)}
    print_words("word", range_words(ranges(set(word_characters()) - letters)))
    for ccc, marks in sorted(combining_classes(nfd).items()):
        print_words(f"ccc-{ccc}", range_words(ranges(marks)))
    compose, decompose = [], []
    for c in CODE_POINTS:
        mapping = unicodedata.decomposition(chr(c))
        if not mapping or mapping.startswith("<") or nfd.normalize_str(chr(c)) == chr(c):
            continue
        target = compose if nfc.normalize_str(chr(c)) == chr(c) else decompose
        target.append(f"{c:X}=" + mapping.replace(" ", ",").lstrip("0").replace(",0", ","))
    print_words("compose", compose)
    print_words("decompose", decompose)


main()
