"""What a worker of bench/run.sh serving is asked, beside the logits of cpu/worker.py, and sides that answer in batches.

{"op": "prompts", "path": FILE}
    {"prompts": [{"text", "tokens": [ids], "new": n}], "long": [the same]}: what is asked from now on, each an answer
    of exactly n tokens, the most likely ones, no end of sequence among them. {} is the answer.
{"op": "together", "requests": [{"prompt": index, "new": n}], "seconds": s, "room": r}
    Sends these at once, and ends when all are answered, or s seconds after each has its first token.
{"op": "closed", "users": u, "first": i, "long": bool, "warm": w, "seconds": s, "room": r}
    u users, each of whom sends the next prompt, from index i on, when the last is answered, until w + s seconds are
    over; if `long`, one more who sends the long ones.
{"op": "arrivals", "times": [t], "users": u, "first": i, "warm": w, "seconds": s, "room": r}
    One prompt at each time, at most u answered together, until w + s seconds are over.

r is the most tokens that prompt and answer of a request have together. The answer is what the client saw, in seconds
since the run began: {"window": [begin, end], "requests": [{"kind": "user" or "long", "prompt": tokens, "submitted": t,
"started": t or null, "times": [t of each new token], "ids": [them]}]}, requests that did not end among them.
"""

import json
import time

from worker import Unsupported


class Request:
    def __init__(self, prompt, new, submitted):
        self.tokens = prompt["tokens"]
        self.new = new
        self.submitted = submitted
        self.started = None
        self.times = []
        self.ids = []

    @property
    def complete(self):
        return len(self.ids) >= self.new

    def seen(self):
        return {
            "kind": "user",
            "prompt": len(self.tokens),
            "submitted": self.submitted,
            "started": self.started,
            "times": self.times,
            "ids": self.ids,
        }


class Clock:
    def __init__(self):
        self.begin = time.perf_counter()

    def now(self):
        return time.perf_counter() - self.begin


class Batches:
    """Serves by static batches, as a package without continuous batching is used: a batch holds the requests that wait,
    and those that come meanwhile wait for its last answer.

    generate(prompts, new, token, stop) answers prompts of any lengths together, the i-th by new[i] tokens: it calls
    token(i, id) for each as soon as it is chosen, and ends early where stop() is true after a step.
    """

    def __init__(self, generate):
        self.generate = generate
        self.all = []

    def operations(self):
        return {name: getattr(self, name) for name in ("prompts", "together", "closed", "arrivals")}

    def prompts(self, request):
        with open(request["path"], encoding="utf-8") as file:
            self.all = json.load(file)["prompts"]
        return {}

    def prompt(self, index):
        return self.all[index % len(self.all)]

    def answer(self, batch, clock, stop=lambda: False):
        started = clock.now()
        for request in batch:
            request.started = started

        def token(index, id):
            if not batch[index].complete:
                batch[index].times.append(clock.now())
                batch[index].ids.append(id)

        self.generate([request.tokens for request in batch], [request.new for request in batch], token, stop)

    def together(self, request):
        clock = Clock()
        batch = [Request(self.prompt(each["prompt"]), each["new"], 0) for each in request["requests"]]

        def is_over():
            begun = all(each.times for each in batch)
            return begun and clock.now() >= max(each.times[0] for each in batch) + request["seconds"]

        self.answer(batch, clock, is_over)
        return seen([0, clock.now()], batch)

    def closed(self, request):
        """Whole batches, so that the window has as many ends of batches as beginnings."""
        if request["long"]:
            raise Unsupported("a batch takes in nothing while it is being answered")
        clock, requests, next_prompt = Clock(), [], request["first"]
        while not requests or clock.now() < request["seconds"]:
            now = clock.now()
            chosen = [self.prompt(next_prompt + user) for user in range(request["users"])]
            batch = [Request(prompt, prompt["new"], now) for prompt in chosen]
            next_prompt += len(batch)
            requests += batch
            self.answer(batch, clock)
        return seen([0, clock.now()], requests)

    def arrivals(self, request):
        clock, end = Clock(), request["warm"] + request["seconds"]
        prompts = [self.prompt(request["first"] + i) for i in range(len(request["times"]))]
        coming = [Request(prompt, prompt["new"], time) for prompt, time in zip(prompts, request["times"])]
        waiting, requests = coming[:], []
        while clock.now() < end:
            batch = [each for each in waiting[: request["users"]] if each.submitted <= clock.now()]
            if batch:
                waiting = waiting[len(batch) :]
                requests += batch
                self.answer(batch, clock, lambda: clock.now() >= end)
            else:
                time.sleep(max(0, min([end] + [each.submitted for each in waiting[:1]]) - clock.now()))
        return seen([request["warm"], clock.now()], requests + [each for each in waiting if each.submitted < end])


def seen(window, requests):
    return {"window": window, "requests": [request.seen() for request in requests]}
