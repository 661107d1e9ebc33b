"""Sides that take turns: each in a process of its own, grouped by what fits into memory, the limits probed between."""

import os
import shlex
import statistics
import sys
import time
from abc import ABC, abstractmethod
from datetime import date

import numpy as np

import report
from logits_check import check_logits, mean_divergence
from machine import commit, free_memory, machine
from worker_process import Unsupported, WorkerFailed, WorkerProcess

# Threads of some libraries go on spinning after their work is done, Intel's OpenMP for 0.2 s: a probe waits for them.
SETTLE_SECONDS = 0.3

PROBE_MEMORY = 1 << 30


def chosen(text, values, label, what):
    if text is None:
        return values
    known = {label(value): value for value in values}
    unknown = [name for name in text.split(",") if name not in known]
    if unknown:
        sys.exit(f"unknown {what} {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in text.split(",")]


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


class Alternation(ABC):
    """Subclasses say what a side is asked in a row, and what its answer means."""

    def __init__(self, name, arguments, paths, shape, bfloat16, variables):
        """`bfloat16` is a side whose limit stands for the speed of the machine."""
        self.arguments = arguments
        self.paths = paths
        self.shape = shape
        self.bfloat16 = bfloat16
        self.variables = variables
        self.folder = arguments.work / "results" / time.strftime("%Y-%m-%d-%H%M%S")
        self.folder.mkdir(parents=True)
        self.results = first_results(name, arguments)
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
            check = check_logits(worker, reference, side)
            more = self.prepare(side, worker)
        except WorkerFailed as failure:
            worker.close()
            self.leave_out(side, "all rows", failure)
            return
        print(f"  {side.name}: {described['version']}; loaded in {load:.1f} s; {check}", flush=True)
        known = {"name": side.name, "bits": side.compared_bits, "ours": side.ours, "load_seconds": load, "check": check}
        self.results["sides"][side.key] = {**known, **described, **more}
        self.workers[side] = worker

    @abstractmethod
    def warm_up_request(self, side, row):
        """Of a turn that is not counted."""

    @abstractmethod
    def request(self, side, row, repetition): ...

    @abstractmethod
    def figures(self, side, row, answer):
        """What a turn measured; `rate` is its tokens per second."""

    def step(self, row):
        """What the limits of a row are computed for."""
        return row

    def takes(self, side, row):
        """Whether the side is asked for the row."""
        return True

    def prepare(self, side, worker):
        """Of a side whose logits are right, before its first turn: returns what is to be told of it. Raises
        WorkerFailed to leave it out."""
        return {}

    def warm_up(self, row):
        """Returns the sides that can do the row, after a turn of each that is not counted."""
        able = []
        for side, worker in list(self.workers.items()):
            if not self.takes(side, row):
                continue
            try:
                worker.ask(self.warm_up_request(side, row))
                able.append(side)
            except Unsupported as reason:
                self.leave_out(side, row.label, reason)
            except WorkerFailed as failure:
                self.give_up(side, row, failure)
        return able

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
                    answer = self.workers[side].ask(self.request(side, row, repetition))
                    figures = self.figures(side, row, answer)
                except WorkerFailed as failure:
                    self.give_up(side, row, failure)
                    continue
                after = self.probed()
                self.record(row, group, side, repetition, figures, mean_limits(before, after))
                before = after

    def record(self, row, group, side, repetition, figures, limits):
        step = self.step(row)
        tokens = step.tokens or step.batch
        operations = step.operations(self.shape)
        own = limit(side.bytes(step, self.shape), operations, tokens, limits, side.bits)
        machine_speed = limit(self.bfloat16.bytes(step, self.shape), operations, tokens, limits, 16)
        self.results["measurements"].append(
            {
                "run": 0,
                "row": row.label,
                "group": group,
                "side": side.key,
                "repetition": repetition,
                **figures,
                "limit": own,
                "machine": machine_speed,
                "limits": limits,
            }
        )

    def installed(self, sides, failed):
        """The sides whose files are there; `failed` has the reasons why some are not."""
        ready = []
        for side in sides:
            missing = [file for file in side.files if not file.exists()]
            if missing:
                reason = failed.get(missing[0], f"{missing[0]} is missing: was it installed?")
                self.leave_out(side, "all rows", reason)
            else:
                ready.append(side)
        return ready

    def free_bytes(self):
        """That the sides of a group may take together."""
        return (self.arguments.memory * 1e9 if self.arguments.memory else free_memory()) - PROBE_MEMORY

    def groups(self, sides, memory_of):
        """Sides that can run together; one that cannot even run beside ours is left out."""
        memory = self.free_bytes()
        ready = list(sides)
        for side in sides:
            needed = sum(map(memory_of, with_ours(side, ready)))
            if needed > memory:
                reason = f"with ours it needs {needed / 1e9:.1f} GB, and {memory / 1e9:.1f} are free"
                self.leave_out(side, "all rows", reason)
                ready.remove(side)
        return groups_of(ready, 0.9 * memory, memory_of)

    def run(self, groups, rows):
        """All rows with each group of sides, after the check of their logits; saves what was measured after each."""
        with np.load(self.paths.reference) as reference:
            self.results["without_positions"] = mean_divergence(reference["logits"], reference["without_positions"])
            self.run_probed(groups, rows, reference)

    def run_probed(self, groups, rows, reference):
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


def first_results(name, arguments):
    """Of a run that has measured nothing yet."""
    given = [argument for argument in sys.argv[1:] if argument not in ("--work", str(arguments.work))]
    return {
        "shape": arguments.shape,
        "threads": arguments.threads,
        "runs": [
            {
                "date": date.today().isoformat(),
                "command": f"bench/run.sh {name} {shlex.join(given)}".rstrip(),
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


def mean_limits(before, after):
    def mean(a, b):
        return {key: mean(a[key], b[key]) for key in a} if isinstance(a, dict) else (a + b) / 2

    return mean(before, after)
