"""The loop of a worker: one side of bench/run.sh cpu in a process of its own, which loads its model once.

A line of JSON on stdin is a request, a line of JSON on stdout its answer. First the worker says what it is:
{"version": ..., "features": ...}. What a side cannot do it answers with {"unsupported": reason}, a failure is
{"error": message}.

{"op": "logits", "prompt": [ids], "next": [ids], "path": FILE}
    Writes float32 [len(next) + 1, vocabulary]: logits after the prompt and after each of the tokens that follow. A side
    that cannot tell them answers {"greedy": [ids]}: its choice after each, -1 where it cannot tell that either.
{"op": "prefill", "tokens": n, "seconds": s}
    A prompt of n tokens, to the token chosen after it.
{"op": "decode", "batch": b, "context": c, "steps": k, "seconds": s}
    At most k steps of b sequences, each with keys and values of c tokens in its cache before the first. What these are
    does not matter, but that each sequence has its own: computing them all would take longer than the steps.
    Both are repeated from the same state for at least s seconds, and a decode may end after any step once these are
    over: {"tokens": all tokens, "seconds": time of the steps}.
"""

import json
import os
import sys
import time


class Unsupported(Exception):
    """The side cannot do what was asked; the message says why."""


def prompt(sequence, tokens):
    """Ids of a prompt to time: other ones for each sequence, the same for every side."""
    return [100 + (sequence * 7919 + position * 104729) % 50000 for position in range(tokens)]


def repeat(seconds, run):
    """Calls run(seconds left), which returns tokens and seconds, until that much time is measured."""
    tokens, measured = 0, 0.0
    while measured < seconds or tokens == 0:
        more_tokens, more_seconds = run(seconds - measured)
        tokens += more_tokens
        measured += more_seconds
    return {"tokens": tokens, "seconds": measured}


def timed(run):
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def timed_steps(seconds, steps, step):
    """Calls step at most that often and until the time is over: how often, and how long it took."""
    start = time.perf_counter()
    for done in range(1, steps + 1):
        step()
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            break
    return done, elapsed


def logits(side):
    def run(request):
        side.logits(request["prompt"], request["next"]).astype("<f4").tofile(request["path"])
        return {}

    return run


def throughput(side):
    """Operations of a side that has logits(), prefill() and decode()."""
    return {
        "logits": logits(side),
        "prefill": lambda request: repeat(request["seconds"], side.prefill(request["tokens"])),
        "decode": lambda request: repeat(
            request["seconds"], side.decode(request["batch"], request["context"], request["steps"])
        ),
    }


def serve(side, operations):
    """Answers requests until stdin ends, each by the operation of its name, after what side.describe() says."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers

    def answer(value):
        print(json.dumps(value), file=answers, flush=True)

    answer(side.describe())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer(operations[request["op"]](request))
        except Unsupported as reason:
            answer({"unsupported": str(reason)})
        except Exception as failure:  # the run goes on without this side
            answer({"error": f"{type(failure).__name__}: {failure}"})
