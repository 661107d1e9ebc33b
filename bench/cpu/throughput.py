"""Times every side of the CPU benchmark in one alternating run: the last step of bench/run.sh cpu."""

import argparse
import json
import signal
import sys
from pathlib import Path

import report
from alternation import Alternation, chosen
from prepare import DEVIATIONS, Paths, prepare
from sides import Row, Shape, all_sides
from worker_process import environment

PREFILL = [32, 256, 1024]
BATCHES = [1, 2, 4, 8, 16, 32]
CONTEXTS = [64, 512, 1536]
STEPS = 8  # of decode between two looks at the clock


def rows_of(quick):
    prefill = [Row("prefill", tokens=tokens) for tokens in (PREFILL[:2] if quick else PREFILL)]
    batches = [Row("decode", batch=batch, context=CONTEXTS[0]) for batch in ([1, 8] if quick else BATCHES)]
    contexts = [Row("decode", context=context) for context in (CONTEXTS[1:2] if quick else CONTEXTS[1:])]
    return prefill + batches + contexts


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh cpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small shape, fewer rows and repetitions: some minutes")
    parser.add_argument("--check", action="store_true", help="make the files and check the logits; time nothing")
    parser.add_argument("--shape", choices=DEVIATIONS, help="sizes of the model (default 3b; quick: 70m)")
    parser.add_argument("--threads", type=int, default=2, help="of every side (default 2)")
    parser.add_argument("--work", type=Path, required=True, help="folder for installs, models and results")
    parser.add_argument("--sides", help="keys of sides, with commas between (default: all)")
    parser.add_argument("--rows", help="labels of rows, such as prefill-256,decode-8@64 (default: all)")
    parser.add_argument("--repetitions", type=int, help="alternations of a row (default 9; quick: 4)")
    parser.add_argument("--seconds", type=float, help="least time of one side's turn (default 1; quick: 0.2)")
    parser.add_argument("--memory", type=float, help="GB that the sides may take together (default: what is free)")
    arguments = parser.parse_args()
    arguments.shape = arguments.shape or ("70m" if arguments.quick else "3b")
    arguments.repetitions = arguments.repetitions or (4 if arguments.quick else 9)
    arguments.seconds = arguments.seconds or (0.2 if arguments.quick else 1)
    return arguments


class Throughput(Alternation):
    def warm_up_request(self, side, row):
        request = dict(self.request(side, row, 0), seconds=0)
        return dict(request, tokens=min(request["tokens"], PREFILL[0]))

    def request(self, side, row, repetition):
        return {
            "op": row.kind,
            "tokens": row.tokens,
            "batch": row.batch,
            "context": row.context,
            "steps": STEPS,
            "seconds": self.arguments.seconds,
        }

    def figures(self, side, row, answer):
        return {"rate": answer["tokens"] / answer["seconds"]}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # the workers are ended too
    arguments = parse_arguments()
    paths = Paths(arguments.work, arguments.shape)
    variables = environment(arguments.threads)
    everything = all_sides(paths, arguments.threads)
    sides = chosen(arguments.sides, everything, lambda side: side.key, "side")
    rows = chosen(arguments.rows, rows_of(arguments.quick), lambda row: row.label, "row")
    failed = prepare(paths, {file for side in sides for file in side.files}, variables)
    with open(paths.checkpoint / "config.json") as file:
        shape = Shape.of(json.load(file))
    bfloat16 = next(side for side in everything if side.bits == 16)
    run = Throughput("cpu", arguments, paths, shape, bfloat16, variables)
    groups = run.groups(run.installed(sides, failed), lambda side: side.memory(rows, shape))
    rows = [] if arguments.check else rows
    run.run(groups, rows)
    report.write(run.results, run.folder) if rows else report.save(run.results, run.folder)


if __name__ == "__main__":
    main()
