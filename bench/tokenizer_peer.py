"""Times the tokenizers package on what TokenizerBenchmark times, and compares the two.

    python bench/tokenizer_peer.py check unseen.jsonl
    python bench/tokenizer_peer.py time > peer.json
    python bench/tokenizer_peer.py compare jmh-1.json peer-1.json jmh-2.json peer-2.json ...

`check` compares the ids of encodeUnseen's texts, which no golden has: unseen.jsonl is what TokenizerBenchmark prints.
`time` runs on one thread, from the repository's root; PROMPTS and TOKENIZER in the environment name other files.
encode, encodeCold, encodeUnseen and decode are as TokenizerBenchmark describes them. The package is called the fastest
way it has (encode_batch_fast, which leaves out the offsets); its cache is cleared where ours is. Speeds are in MB (10^6
bytes of UTF-8) per second, and per second of CPU time, which a busy machine disturbs less.
Needs `pip install tokenizers`.
"""

import importlib.metadata
import json
import os
import statistics
import sys
import time

RESOURCES = "java/core/src/test/resources/"
PROMPTS = os.environ.get("PROMPTS", RESOURCES + "goldens/tokenizer/encode_prompts.jsonl")
TOKENIZER = os.environ.get("TOKENIZER", RESOURCES + "tokenizers/gpt-neox-20b/tokenizer.json")
NAMES = ["encode", "encodeCold", "encodeUnseen", "decode"]
SECONDS = 1.0
ITERATIONS = 5


def scramble(texts):
    """Each letter replaced by a random one: the same sequence as in TokenizerBenchmark."""
    random, scrambled = 1, []
    for text in texts:
        letters = []
        for c in text:
            if c.isascii() and c.isalpha():
                random = (random * 1103515245 + 12345) & 0x7FFFFFFF
                c = chr(ord("a") + (random >> 16) % 26)
            letters.append(c)
        scrambled.append("".join(letters))
    return scrambled


def load():
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(TOKENIZER)
    tokenizer.add_special_tokens(["### End", "### Instruction:", "### Response:"])
    return tokenizer, read_cases(PROMPTS)


def read_cases(path):
    """The texts and their ids of a .jsonl file."""
    with open(path, encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    return [case["text"] for case in cases], [case["ids"] for case in cases]


def encode_all(tokenizer, texts):
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def check(path):
    tokenizer, (prompts, _) = load()
    texts, all_ids = read_cases(path)
    if texts != scramble(prompts):
        sys.exit("the scrambled texts differ")
    for text, ids, expected in zip(texts, all_ids, encode_all(tokenizer, texts)):
        if ids != expected:
            sys.exit(f"wrong ids for: {text}\nexpected {expected}\nfound    {ids}")
    print(f"{len(texts)} scrambled texts have the same ids")


def time_package():
    tokenizer, (texts, all_ids) = load()
    unseen = scramble(texts)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6

    def encode(all_texts):
        return encode_all(tokenizer, all_texts)

    def clear_and_encode(all_texts):
        tokenizer.model._clear_cache()
        return encode(all_texts)

    def decode():
        return [tokenizer.decode(ids, skip_special_tokens=False) for ids in all_ids]

    if encode(texts) != all_ids or decode() != texts:
        sys.exit("wrong ids or text")
    runs = [lambda: encode(texts), lambda: clear_and_encode(texts), lambda: clear_and_encode(unseen), decode]
    results = {"version": importlib.metadata.version("tokenizers")}
    for name, run in zip(NAMES, runs):
        run()
        results[name] = []
        for _ in range(ITERATIONS):
            passes, start, cpu = 0, time.perf_counter(), time.thread_time()
            while time.perf_counter() - start < SECONDS:
                run()
                passes += 1
            wall, cpu = time.perf_counter() - start, time.thread_time() - cpu
            results[name].append([megabytes * passes / wall, megabytes * passes / cpu])
    json.dump(results, sys.stdout)


def jmh_speeds(path):
    """[MB/s, MB per CPU second] of each iteration, by benchmark."""
    speeds = {}
    for benchmark in json.load(open(path)):
        metrics = benchmark["secondaryMetrics"]
        wall = metrics["megabytes"]["rawData"][0]
        cpu = metrics["cpuSeconds"]["rawData"][0]
        speeds[benchmark["benchmark"].rsplit(".", 1)[1]] = [[w, w / c] for w, c in zip(wall, cpu)]
    return speeds


def compare(paths):
    ours = [jmh_speeds(path) for path in paths[0::2]]
    theirs = [json.load(open(path)) for path in paths[1::2]]
    print(f"{len(ours)} rounds, alternating; {len(ours[0]['encode'])} iterations of a second each; ", end="")
    print(f"tokenizers {theirs[0]['version']}\n")
    for column, unit in enumerate(["MB/s", "MB per CPU second"]):
        print(f"| {unit} | dolly4j min / median / max | tokenizers min / median / max | ratio of a round min / median / max |")
        print("|---|---|---|---|")
        for name in NAMES:
            rounds = [[[s[column] for s in side[name]] for side in pair] for pair in zip(ours, theirs)]
            sides = [[speed for pair in rounds for speed in pair[i]] for i in range(2)]
            ratios = [statistics.median(pair[0]) / statistics.median(pair[1]) for pair in rounds]
            cells = [f"{min(v):.1f} / {statistics.median(v):.1f} / {max(v):.1f}" for v in [*sides, ratios]]
            print(f"| {name} | " + " | ".join(cells) + " |")
        print()


if sys.argv[1:] == ["time"]:
    time_package()
elif sys.argv[1:2] == ["check"] and len(sys.argv) == 3:
    check(sys.argv[2])
elif sys.argv[1:2] == ["compare"] and len(sys.argv) > 3 and len(sys.argv) % 2 == 0:
    compare(sys.argv[2:])
else:
    sys.exit(__doc__)
