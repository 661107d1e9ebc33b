"""What the times of a run's tokens say, by one rule for all sides.

Counted is what happens in the window: tokens that come in it; the waits for those tokens since the one before; first
tokens that come in it, each with the wait since its request was sent, and the prompt that was read for it; answers that
end in it, each with its time in the queue.
"""

import numpy as np
from worker_process import WorkerFailed

QUANTILES = (50, 95, 99)


def quantiles(values):
    """Of no value: None."""
    return [float(value) for value in np.percentile(values, QUANTILES)] if values else None


def figures(answer):
    begin, end = answer["window"]

    def inside(time):
        return begin < time <= end

    requests = answer["requests"]
    users = [request for request in requests if request["kind"] == "user"]
    tokens = sum(inside(time) for request in requests for time in request["times"])
    read = [request for request in requests if request["times"] and inside(request["times"][0])]
    gaps = [
        time - before
        for request in users
        for before, time in zip(request["times"], request["times"][1:])
        if inside(time)
    ]
    first = [request["times"][0] - request["submitted"] for request in read if request["kind"] == "user"]
    queued = [
        request["started"] - request["submitted"]
        for request in users
        if request["started"] is not None and request["times"] and inside(request["times"][-1])
    ]
    return {
        "rate": tokens / (end - begin),
        "prompt_rate": sum(request["prompt"] for request in read) / (end - begin),
        "tokens": tokens,
        "first": quantiles(first),
        "gap": quantiles(gaps),
        "queue": quantiles(queued),
        "unanswered": sum(not request["times"] for request in users),
    }


def decode_window(answer):
    """The same answer with the window in which every request decodes: from the last first token to the first end."""
    times = [request["times"] for request in answer["requests"]]
    begin, end = max(each[0] for each in times), min(each[-1] for each in times)
    if end <= begin:
        raise WorkerFailed("not one step ended in the window in which all decode; a longer one is needed (--seconds)")
    return {**answer, "window": [begin, end]}
