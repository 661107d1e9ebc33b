"""Whether a side computes the right logits, before it is timed."""

import tempfile

import numpy as np

from sides import GREEDY_TOLERANCES
from worker_process import WorkerFailed


def mean_divergence(exact, found):
    """Mean KL divergence over the rows."""
    logits = exact.astype(np.float64), found.astype(np.float64)
    p, q = (rows - np.logaddexp.reduce(rows, 1, keepdims=True) for rows in logits)
    return float((np.exp(p) * (p - q)).sum(1).mean())


def check_logits(worker, reference, side):
    """What the logits of a side's worker were compared by. Raises WorkerFailed if they are too far from the float32 ones."""
    tokens, prompt = reference["tokens"].tolist(), int(reference["prompt"])
    exact = reference["logits"]
    with tempfile.NamedTemporaryFile() as file:
        answer = worker.ask(op="logits", prompt=tokens[:prompt], next=tokens[prompt:], path=file.name)
        if "greedy" in answer:
            chosen = [(row, token) for row, token in zip(exact, answer["greedy"]) if token >= 0]
            kind, tolerance = "logit below the best", GREEDY_TOLERANCES[side.bits]
            found = max((float(row.max() - row[token]) for row, token in chosen), default=np.inf)
        else:
            kind, tolerance = "mean KL", side.tolerance
            found = mean_divergence(exact, np.fromfile(file.name, "<f4").reshape(exact.shape))
    if not found <= tolerance:
        raise WorkerFailed(f"wrong logits: {kind} {found:.2g}, allowed {tolerance:g}")
    return f"{kind} {found:.2g} ({tolerance:g})"
