"""Loads every side as its users would, in one alternating run: the last step of bench/run.sh serving."""

import argparse
import json
import random
import signal
import statistics
import sys
from itertools import cycle, islice
from pathlib import Path

import prompts
import report
import serving_report
from alternation import Alternation, chosen, with_ours
from figures import decode_window, figures
from loads import KINDS, is_kernels, rows_of, sides_of
from prepare import DEVIATIONS, Paths, prepare
from sides import BFLOAT16, Row, Shape
from worker_process import WorkerFailed, environment

USERS = [1, 4, 16, 64]
ONE = 16  # users of rows that there is one of
SHARES = [0.5, 0.8]
DECODE_TOKENS = 128  # of each request of a decode row; its prompts have at most SHORT_PROMPT
SHORT_PROMPT = 64

# Answers given alone and together before a side is timed: how many, how long, to prompts of at most how many tokens.
CHECKED, CHECKED_TOKENS, CHECKED_PROMPT = 8, 12, 256

UNLIMITED = 1e6  # seconds
STRIDE = 37  # prompts between the first ones of two repetitions


def numbers(kind):
    return lambda text: [kind(part) for part in text.split(",")]


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh serving", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small shape, few users, short turns: some minutes")
    parser.add_argument("--check", action="store_true", help="make the files and check the answers; time nothing")
    parser.add_argument("--shape", choices=["demo", *DEVIATIONS], help="of the model (default 3b; quick: 70m)")
    parser.add_argument("--threads", type=int, default=2, help="of every side (default 2)")
    parser.add_argument("--work", type=Path, required=True, help="folder for installs, models and results")
    parser.add_argument("--sides", help="keys of sides, with commas between (default: all)")
    parser.add_argument("--rows", default=",".join(KINDS), help="kinds of rows (default: %(default)s)")
    parser.add_argument("--users", type=numbers(int), help="of the closed loops (default 1,4,16,64; quick: 4,16)")
    rates = "arrivals a second (default: 0.5 and 0.8 of what the best side answers in a closed loop; quick: 0.5)"
    parser.add_argument("--rates", type=numbers(float), default=[], help=rates)
    parser.add_argument("--prompts", type=Path, help="rows of databricks-dolly-15k, JSON lines (default: 151 of them)")
    longest = "tokens of the longest prompt with its answer that is not left out (default 2048; quick: 512)"
    parser.add_argument("--longest", type=int, help=longest)
    parser.add_argument("--longest-answer", type=int, help="tokens that answers are cut to (default 256; quick: 48)")
    parser.add_argument("--repetitions", type=int, help="alternations of a row (default 5; quick: 1)")
    parser.add_argument("--seconds", type=float, help="window of a turn (default 60; quick: 3)")
    parser.add_argument("--warm", type=float, help="seconds of load before the window (default: a quarter of it)")
    parser.add_argument("--memory", type=float, help="GB that the sides may take together (default: what is free)")
    arguments = parser.parse_args()
    quick = arguments.quick
    arguments.shape = arguments.shape or ("70m" if quick else "3b")
    arguments.users = arguments.users or ([4, 16] if quick else USERS)
    arguments.repetitions = arguments.repetitions or (1 if quick else 5)
    arguments.seconds = arguments.seconds or (3 if quick else 60)
    arguments.warm = arguments.seconds / 4 if arguments.warm is None else arguments.warm
    arguments.longest = arguments.longest or (512 if quick else 2048)
    arguments.longest_answer = arguments.longest_answer or (48 if quick else 256)
    return arguments


class Serving(Alternation):
    def __init__(self, arguments, paths, shape, bfloat16, variables, asked):
        super().__init__("serving", arguments, paths, shape, bfloat16, variables)
        self.asked = asked
        self.file = self.folder / "prompts.json"
        self.largest_cache = {}
        self.rates = self.results["rates"] = {}
        self.results["prompts"] = {
            "prompts": len(asked["prompts"]),
            "mean": self.mean(lambda prompt: len(prompt["tokens"])),
            "new": self.mean(lambda prompt: prompt["new"]),
            "long": statistics.mean(len(prompt["tokens"]) for prompt in asked["long"]),
        }

    def indices(self, longest):
        """Of prompts that have at most so many tokens."""
        return [i for i, prompt in enumerate(self.asked["prompts"]) if len(prompt["tokens"]) <= longest]

    def short_ones(self, count):
        return list(islice(cycle(self.indices(SHORT_PROMPT)), count))

    def mean(self, value):
        return statistics.mean(map(value, self.asked["prompts"]))

    def room(self, row):
        """Tokens of the longest request."""
        if row.is_decode:
            return SHORT_PROMPT + DECODE_TOKENS
        return max(map(prompts.tokens_of, self.asked["prompts"] + (self.asked["long"] if row.kind == "long" else [])))

    def step(self, row):
        known = self.results["prompts"]
        return Row("decode", batch=row.sequences, context=round(known["mean"] + known["new"] / 2))

    def cache_bytes(self, side, row):
        """That a peer sets aside: as much for each sequence as for the longest."""
        whole = Row("decode", batch=row.sequences, context=self.room(row))
        return whole.numbers_cached(self.shape) * side.cache_bytes

    def memory_of(self, side, cache_tokens):
        """Without the cache of a peer."""
        cached = cache_tokens * 2 * self.shape.layers * self.shape.hidden * side.cache_bytes if side.ours else 0
        weights = side.bytes(Row("decode", batch=0), self.shape)
        embedding = self.shape.head_weights * max(BFLOAT16.each, side.weights.each)
        return weights + embedding + cached + (1 << 30)

    def grouped(self, sides, rows, cache_tokens):
        """A peer's cache counts as far as its largest row that fits into memory beside ours."""
        fixed = {side: self.memory_of(side, cache_tokens) for side in sides}
        for side in sides:
            free = self.free_bytes() - sum(map(fixed.get, with_ours(side, sides)))
            caches = [self.cache_bytes(side, row) for row in rows if not side.ours]
            self.largest_cache[side] = max((cache for cache in caches if cache <= free), default=0)
        return self.groups(sides, lambda side: fixed[side] + self.largest_cache[side])

    def takes(self, side, row):
        if is_kernels(side):
            return row.is_decode
        if row.kind == "sampled" and not side.ours:
            return False
        if side.ours or self.cache_bytes(side, row) <= self.largest_cache[side]:
            return True
        needed = self.cache_bytes(side, row) / 1e9
        self.leave_out(side, row.label, f"its cache of {row.sequences} sequences needs {needed:.1f} GB")
        return False

    def prepare(self, side, worker):
        if is_kernels(side):
            return {}
        worker.ask(op="prompts", path=str(self.file))
        requests = [{"prompt": i, "new": CHECKED_TOKENS} for i in self.indices(CHECKED_PROMPT)[:CHECKED]]

        room = CHECKED_PROMPT + CHECKED_TOKENS

        def answers(sent):
            answer = worker.ask(op="together", requests=sent, seconds=UNLIMITED, room=room)
            return [request["ids"] for request in answer["requests"]]

        alone = [answers([request])[0] for request in requests]
        together = answers(requests)
        if any(len(ids) != CHECKED_TOKENS for ids in alone + together):
            raise WorkerFailed("answers have not the length that was asked for")
        differ = sum(a != b for a, b in zip(alone, together))
        if side.ours and differ:
            raise WorkerFailed(f"{differ} of {len(alone)} answers given together differ from those given alone")
        return {"differ": f"{differ} of {len(alone)}"}

    def warm_up_request(self, side, row):
        if is_kernels(side):
            return self.decode_of_kernels(row, 0)
        if row.kind == "long":
            return dict(self.request(side, row, 0), warm=0, seconds=0)
        requests = [{"prompt": i, "new": 2} for i in self.short_ones(row.users)]
        return {"op": "together", "requests": requests, "seconds": 0, "room": self.room(row)}

    def decode_of_kernels(self, row, seconds):
        """The steps of a decode row: as many sequences of the same mean length."""
        lengths = [len(self.asked["prompts"][i]["tokens"]) for i in self.short_ones(row.users)]
        context = round(statistics.mean(lengths))
        return {"op": "decode", "batch": row.users, "context": context, "steps": DECODE_TOKENS, "seconds": seconds}

    def request(self, side, row, repetition):
        if is_kernels(side):
            return self.decode_of_kernels(row, self.arguments.seconds)
        if row.is_decode:
            requests = [{"prompt": i, "new": DECODE_TOKENS} for i in self.short_ones(row.users)]
            asked = {"op": "together", "requests": requests, "seconds": self.arguments.seconds, "room": self.room(row)}
            return {**asked, "sampled": True} if row.kind == "sampled" else asked
        request = {
            "users": row.users,
            "first": STRIDE * repetition,
            "warm": self.arguments.warm,
            "seconds": self.arguments.seconds,
            "room": self.room(row),
        }
        if row.kind == "arrivals":
            return {"op": "arrivals", "times": self.arrivals(row, repetition), **request}
        return {"op": "closed", "long": row.kind == "long", **request}

    def arrivals(self, row, repetition):
        """The same times for every side."""
        draw, end = random.Random(repetition), self.arguments.warm + self.arguments.seconds
        times = [draw.expovariate(self.rate(row))]
        while times[-1] < end:
            times.append(times[-1] + draw.expovariate(self.rate(row)))
        return times[:-1]

    def rate(self, row):
        if row.label not in self.rates:
            self.rates[row.label] = row.rate or row.share * self.capacity()
        return self.rates[row.label]

    def capacity(self):
        """Requests a second of the best side in a closed loop."""
        closed = [m for m in self.results["measurements"] if m["row"].startswith("users-")]
        rates = {}
        for m in closed:
            rates.setdefault((m["row"], m["side"]), []).append(m["rate"])
        return max(map(statistics.median, rates.values())) / self.results["prompts"]["new"]

    def figures(self, side, row, answer):
        if is_kernels(side):
            return {"rate": answer["tokens"] / answer["seconds"]}
        return figures(decode_window(answer) if row.is_decode else answer)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # the workers are ended too
    arguments = parse_arguments()
    kinds = chosen(arguments.rows, list(KINDS), str, "row")
    if "arrivals" in kinds and "users" not in kinds and not arguments.rates:
        sys.exit("arrivals without closed loops need --rates")
    rows = rows_of(kinds, arguments.users, ONE, arguments.rates, SHARES[:1] if arguments.quick else SHARES)
    paths = Paths(arguments.work, arguments.shape)
    variables = environment(arguments.threads)
    everything = sides_of(paths, arguments.threads, cache_tokens=0)
    keys = [side.key for side in chosen(arguments.sides, everything, lambda side: side.key, "side")]
    failed = prepare(paths, {file for side in everything if side.key in keys for file in side.files}, variables)
    asked = prompts.chosen(paths.checkpoint, arguments.prompts, arguments.longest_answer, arguments.longest)
    most = max(row.sequences for row in rows)
    cache_tokens = prompts.tokens_of_longest(asked, most)
    sides = [side for side in sides_of(paths, arguments.threads, cache_tokens) if side.key in keys]
    with open(paths.checkpoint / "config.json") as file:
        shape = Shape.of(json.load(file))
    bfloat16 = next(side for side in everything if side.bits == 16)
    run = Serving(arguments, paths, shape, bfloat16, variables, asked)
    run.file.write_text(json.dumps(asked))
    groups = run.grouped(run.installed(sides, failed), rows, cache_tokens)
    rows = [] if arguments.check else rows
    run.run(groups, rows)
    serving_report.write(run.results, run.folder) if rows else report.save(run.results, run.folder)


if __name__ == "__main__":
    main()
