"""A worker process as its caller sees it: requests and answers of worker.py, with a time limit."""

import json
import os
import select
import subprocess
import time

START_SECONDS = 1800
ANSWER_SECONDS = 1800
END_SECONDS = 30


class WorkerFailed(Exception):
    """The process ended, did not answer in time, or said that it failed."""


class Unsupported(Exception):
    """The side cannot do this; the message says why."""


def environment(threads):
    """Of every side: the same number of threads, and none of what would choose slower code for a library."""
    slower = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    variables = {name: value for name, value in os.environ.items() if name not in slower}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        variables[name] = str(threads)
    return {**variables, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


class WorkerProcess:
    """`log` gets what it writes to stderr."""

    def __init__(self, command, variables, log):
        self.log = log
        with open(log, "w") as errors:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=variables,
            )
        self.buffer = b""

    def read(self, seconds):
        deadline = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                self.kill()
                raise WorkerFailed(f"no answer within {seconds} s")
            read = os.read(self.process.stdout.fileno(), 1 << 16)
            if not read:
                raise WorkerFailed(f"ended with status {self.process.wait()}: {self.last_words()}")
            self.buffer += read
        line, self.buffer = self.buffer.split(b"\n", 1)
        try:
            return json.loads(line)
        except json.JSONDecodeError as e:
            raise WorkerFailed(f"answered {line[:80]}") from e

    def kill(self):
        self.process.kill()
        self.process.wait()

    def last_words(self):
        with open(self.log, errors="replace") as errors:
            lines = [line for line in errors.read().splitlines() if line.strip() and not line.startswith("\tat ")]
        return lines[-1] if lines else f"nothing in {self.log}"

    def started(self):
        """What it says of itself, once its model is loaded."""
        return self.read(START_SECONDS)

    def ask(self, request=None, **fields):
        try:
            self.process.stdin.write(json.dumps(request or fields).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # reading says how it ended
        answer = self.read(ANSWER_SECONDS)
        if "unsupported" in answer:
            raise Unsupported(answer["unsupported"])
        if "error" in answer:
            raise WorkerFailed(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process.stdout.close()
