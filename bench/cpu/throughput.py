"""Times every side of the CPU benchmark in one alternating run: the last step of bench/run.sh cpu."""

import argparse
import json
import os
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np

import report
from prepare import Paths, prepare
from sides import BENCH, GREEDY_TOLERANCE, Row, Shape, all_sides
from worker_process import Unsupported, WorkerFailed, WorkerProcess, environment

SHAPES = ["70m", "1.4b", "3b"]
PREFILL = [32, 256, 1024]
BATCHES = [1, 2, 4, 8, 16, 32]
CONTEXTS = [64, 512, 1536]
STEPS = 8  # of decode between two looks at the clock

# Threads of some libraries go on spinning after their work is done, Intel's OpenMP for 0.2 s: a probe waits for them.
SETTLE_SECONDS = 0.3

FEATURES = ["avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"]


def rows_of(quick):
    prefill = [Row("prefill", tokens=tokens) for tokens in (PREFILL[:2] if quick else PREFILL)]
    batches = [Row("decode", batch=batch, context=CONTEXTS[0]) for batch in ([1, 8] if quick else BATCHES)]
    contexts = [Row("decode", context=context) for context in (CONTEXTS[1:2] if quick else CONTEXTS[1:])]
    return prefill + batches + contexts


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh cpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small shape, fewer rows and repetitions: some minutes")
    parser.add_argument("--check", action="store_true", help="make the files and check the logits; time nothing")
    parser.add_argument("--shape", choices=SHAPES, help="sizes of the model (default 3b; quick: 70m)")
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


def chosen(text, values, label, what):
    if text is None:
        return values
    known = {label(value): value for value in values}
    unknown = [name for name in text.split(",") if name not in known]
    if unknown:
        sys.exit(f"unknown {what} {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in text.split(",")]


PROBE_MEMORY = 1 << 30


def free_memory():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))


def with_ours(side, sides):
    """The side and what of ours has as many bits."""
    return {side} | {ours for ours in sides if ours.ours and ours.compared_bits == side.compared_bits}


def groups_of(sides, limit, memory_of):
    """Sides whose models fit into memory together; each peer with ours of as many bits, which it alternates with."""
    groups = []
    for side in sorted(sides, key=lambda side: side.ours):  # ours that have no peer come last
        if any(side in group for group in groups):
            continue
        together = with_ours(side, sides)
        for group in groups:
            if sum(map(memory_of, group | together)) <= limit:
                group |= together
                break
        else:
            groups.append(together)
    return [[side for side in sides if side in group] for group in groups]


def machine():
    with open("/proc/cpuinfo") as file:
        cpu = dict(map(str.strip, line.split(":", 1)) for line in file.read().split("\n\n")[0].splitlines())
    flags = cpu["flags"].split()
    return {
        "cpu": cpu["model name"],
        "family": f"family {cpu['cpu family']}, model {cpu['model']}, stepping {cpu['stepping']}",
        "cores": os.cpu_count(),
        "features": [feature for feature in FEATURES if feature in flags],
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "java": subprocess.run(["java", "-version"], check=True, capture_output=True, text=True).stderr.splitlines()[0],
    }


def commit():
    """Of the sources, with what says that they were changed since; empty outside a repository."""
    command = ("git", "-C", BENCH, "describe", "--always", "--dirty")
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def mean_divergence(exact, found):
    """Mean KL divergence over the rows."""
    logits = exact.astype(np.float64), found.astype(np.float64)
    p, q = (rows - np.logaddexp.reduce(rows, 1, keepdims=True) for rows in logits)
    return float((np.exp(p) * (p - q)).sum(1).mean())


def check_logits(worker, reference, tolerance):
    """What the side's logits were compared by. Raises WorkerFailed if they are too far from the float32 ones."""
    tokens, prompt = reference["tokens"].tolist(), int(reference["prompt"])
    exact = reference["logits"]
    with tempfile.NamedTemporaryFile() as file:
        answer = worker.ask(op="logits", prompt=tokens[:prompt], next=tokens[prompt:], path=file.name)
        if "greedy" in answer:
            chosen = [(row, token) for row, token in zip(exact, answer["greedy"]) if token >= 0]
            kind, tolerance = "logit below the best", GREEDY_TOLERANCE
            found = max((float(row.max() - row[token]) for row, token in chosen), default=np.inf)
        else:
            kind, found = "mean KL", mean_divergence(exact, np.fromfile(file.name, "<f4").reshape(exact.shape))
    if not found <= tolerance:
        raise WorkerFailed(f"wrong logits: {kind} {found:.2g}, allowed {tolerance:g}")
    return f"{kind} {found:.2g} ({tolerance:g})"


def peak(limits, bits):
    """Operations per second of the fastest fitting instructions. AMX's tiles cannot stay in registers: fed from L2."""
    peaks = limits["peaks"]
    kind = {32: "float32", 16: "bfloat16"}.get(bits, "int8")
    if f"amx {kind}" in peaks:
        return peaks[f"amx {kind}"]["l2"] * 1e9
    names = [name for name in peaks if name.endswith((" float32", f" {kind}"))]
    return max(peaks[name]["registers"] for name in names) * 1e9


def limit(bytes_read, operations, tokens, limits, bits):
    """Tokens per second if nothing but reading, or nothing but computing, took time."""
    return tokens / max(bytes_read / (limits["read"] * 1e9), operations / peak(limits, bits))


class Run:
    def __init__(self, arguments, paths, results, shape, sides, variables, folder):
        self.arguments = arguments
        self.paths = paths
        self.results = results
        self.shape = shape
        self.variables = variables
        self.folder = folder
        self.bfloat16 = next(side for side in sides if side.bits == 16)
        self.probe = None
        self.workers = {}

    def leave_out(self, side, what, reason):
        print(f"  {side.name}: {what} left out: {reason}", flush=True)
        self.results["left_out"].append({"run": 0, "side": side.name, "what": what, "reason": str(reason)})

    def give_up(self, side, row, failure):
        self.leave_out(side, f"{row.label} and what follows", failure)
        self.workers.pop(side).close()

    def start(self, side, reference):
        """Starts the worker and checks its logits; what fails is left out."""
        worker = WorkerProcess(side.command, self.variables, self.folder / f"{side.key}.log")
        try:
            start = time.monotonic()
            described = worker.started()
            load = time.monotonic() - start
            check = check_logits(worker, reference, side.tolerance)
        except WorkerFailed as failure:
            worker.close()
            self.leave_out(side, "all rows", failure)
            return
        print(f"  {side.name}: {described['version']}; loaded in {load:.1f} s; {check}", flush=True)
        known = {"name": side.name, "bits": side.compared_bits, "ours": side.ours, "load_seconds": load, "check": check}
        self.results["sides"][side.key] = {**known, **described}
        self.workers[side] = worker

    def warm_up(self, row):
        """A turn of each side that is not counted; returns the sides that can do the row."""
        request = dict(self.request(row), seconds=0)
        request["tokens"] = min(request["tokens"], PREFILL[0])
        able = []
        for side, worker in list(self.workers.items()):
            try:
                worker.ask(request)
                able.append(side)
            except Unsupported as reason:
                self.leave_out(side, row.label, reason)
            except WorkerFailed as failure:
                self.give_up(side, row, failure)
        return able

    def request(self, row):
        return {
            "op": row.kind,
            "tokens": row.tokens,
            "batch": row.batch,
            "context": row.context,
            "steps": STEPS,
            "seconds": self.arguments.seconds,
        }

    def probed(self):
        time.sleep(SETTLE_SECONDS)
        return self.probe.ask(op="probe")

    def alternate(self, row, group):
        sides = self.warm_up(row)
        before = self.probed()
        for repetition in range(self.arguments.repetitions):
            turn = repetition % max(1, len(sides))
            for side in sides[turn:] + sides[:turn]:
                if side not in self.workers:
                    continue
                try:
                    answer = self.workers[side].ask(self.request(row))
                except WorkerFailed as failure:
                    self.give_up(side, row, failure)
                    continue
                after = self.probed()
                self.record(row, group, side, repetition, answer, mean_limits(before, after))
                before = after

    def record(self, row, group, side, repetition, answer, limits):
        tokens = row.tokens or row.batch
        operations = row.operations(self.shape)
        own = limit(side.bytes(row, self.shape), operations, tokens, limits, side.bits)
        machine_speed = limit(self.bfloat16.bytes(row, self.shape), operations, tokens, limits, 16)
        self.results["measurements"].append(
            {
                "run": 0,
                "row": row.label,
                "group": group,
                "side": side.key,
                "repetition": repetition,
                "rate": answer["tokens"] / answer["seconds"],
                "limit": own,
                "machine": machine_speed,
                "limits": limits,
            }
        )

    def run(self, groups, rows, reference):
        command = self.paths.limits_probe, self.arguments.threads
        self.probe = WorkerProcess(command, self.variables, self.folder / "probe.log")
        try:
            self.run_groups(groups, rows, reference)
            self.probe.close()
        finally:
            for worker in [*self.workers.values(), self.probe]:
                worker.kill()

    def run_groups(self, groups, rows, reference):
        for number, group in enumerate(groups):
            print(f"sides {number + 1} of {len(groups)}: {', '.join(side.name for side in group)}", flush=True)
            for side in group:
                self.start(side, reference)
            for row in rows:
                if not self.workers:
                    break
                start = time.monotonic()
                self.alternate(row, number)
                print(f"  {row.label}: {time.monotonic() - start:.0f} s; {self.medians(row, number)}", flush=True)
                report.save(self.results, self.folder)
            for worker in self.workers.values():
                worker.close()
            self.workers.clear()

    def medians(self, row, group):
        shown = []
        for side in self.workers:
            found = [
                m["rate"]
                for m in self.results["measurements"]
                if (m["row"], m["group"], m["side"]) == (row.label, group, side.key)
            ]
            if found:
                shown.append(f"{side.key} {statistics.median(found):.1f}")
        return ", ".join(shown) + " tok/s"


def mean_limits(before, after):
    def mean(a, b):
        return {key: mean(a[key], b[key]) for key in a} if isinstance(a, dict) else (a + b) / 2

    return mean(before, after)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # the workers are ended too
    arguments = parse_arguments()
    command = [argument for argument in sys.argv[1:] if argument not in ("--work", str(arguments.work))]
    paths = Paths(arguments.work, arguments.shape)
    variables = environment(arguments.threads)
    sides = chosen(arguments.sides, all_sides(paths, arguments.threads), lambda side: side.key, "side")
    rows = chosen(arguments.rows, rows_of(arguments.quick), lambda row: row.label, "row")
    folder = arguments.work / "results" / time.strftime("%Y-%m-%d-%H%M%S")
    folder.mkdir(parents=True)
    results = {
        "shape": arguments.shape,
        "threads": arguments.threads,
        "runs": [
            {
                "date": date.today().isoformat(),
                "command": f"bench/run.sh cpu {shlex.join(command)}".rstrip(),
                "commit": commit(),
                "repetitions": arguments.repetitions,
                "load": os.getloadavg()[0],
                "machine": machine(),
            }
        ],
        "sides": {},
        "left_out": [],
        "measurements": [],
    }
    failed = prepare(paths, {file for side in sides for file in side.files}, variables)
    with open(paths.checkpoint / "config.json") as file:
        shape = Shape.of(json.load(file))
    run = Run(arguments, paths, results, shape, all_sides(paths, arguments.threads), variables, folder)
    ready = []
    for side in sides:
        missing = [file for file in side.files if not file.exists()]
        if missing:
            run.leave_out(side, "all rows", failed.get(missing[0], f"{missing[0]} is missing: was it installed?"))
        else:
            ready.append(side)
    memory = (arguments.memory * 1e9 if arguments.memory else free_memory()) - PROBE_MEMORY
    for side in ready[:]:
        needed = sum(each.memory(rows, shape) for each in with_ours(side, ready))
        if needed > memory:
            reason = f"with ours it needs {needed / 1e9:.1f} GB, and {memory / 1e9:.1f} are free"
            run.leave_out(side, "all rows", reason)
            ready.remove(side)
    groups = groups_of(ready, 0.9 * memory, lambda side: side.memory(rows, shape))
    rows = [] if arguments.check else rows
    with np.load(paths.reference) as reference:
        results["without_positions"] = mean_divergence(reference["logits"], reference["without_positions"])
        run.run(groups, rows, reference)
    report.write(results, folder) if rows else report.save(results, folder)


if __name__ == "__main__":
    main()
