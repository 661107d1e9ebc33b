"""Rows of bench/run.sh serving, and its sides."""

from dataclasses import dataclass, replace
from pathlib import Path

from sides import OURS, Workers, all_sides

HERE = Path(__file__).resolve().parent

SERVING = Workers(
    "org.dolly4j.bench.ServingLoad",
    HERE / "transformers_serving.py",
    HERE / "ctranslate2_serving.py",
    HERE / "llama_serving.mjs",
)

DECODE_KINDS = ("decode", "sampled")
KINDS = (*DECODE_KINDS, "users", "long", "arrivals")


@dataclass(frozen=True)
class Load:
    """A row of the table.

    decode: so many requests sent at once, and the time when all of them decode. sampled: the same for ours alone, drawn
    as Dolly's pipeline does, not greedily. users: so many users in a closed loop.
    long: the same, and one user more who sends long prompts. arrivals: prompts that come at random, so many a second or
    a share of what the best side answers in a closed loop, and at most so many answered together by a peer.
    """

    kind: str
    users: int
    rate: float = 0
    share: float = 0

    @property
    def label(self):
        if self.kind != "arrivals":
            return f"{self.kind}-{self.users}"
        return f"arrivals-{self.rate:g}/s" if self.rate else f"arrivals-{self.share:.0%}"

    @property
    def is_decode(self):
        return self.kind in DECODE_KINDS

    @property
    def sequences(self):
        return self.users + (self.kind == "long")


def rows_of(kinds, users, one, rates, shares):
    """`one` is the number of users of rows that there is one of."""
    arrivals = [Load("arrivals", max(users), rate=rate) for rate in rates]
    rows = {
        "decode": [Load("decode", one)],
        "sampled": [Load("sampled", one)],
        "users": [Load("users", count) for count in users],
        "long": [Load("long", one)],
        "arrivals": arrivals or [Load("arrivals", max(users), share=share) for share in shares],
    }
    return [row for kind in KINDS if kind in kinds for row in rows[kind]]


def kernels_key(dtype):
    return f"kernels-{dtype}"


def sides_of(paths, threads, cache_tokens):
    """Those of bench/run.sh cpu that serve, ours with a KV cache of so many tokens; and our kernels by themselves."""
    served = [
        replace(side, command=(*side.command, cache_tokens)) if side.ours else side
        for side in all_sides(paths, threads, SERVING)
        if side.key not in ("libtorch", "llama-jvm")
    ]
    below = {side.key: side for side in all_sides(paths, threads)}
    kernels = [
        replace(side, key=kernels_key(dtype), name=f"kernels of dolly4j {dtype}", ours=False)
        for dtype in OURS
        for side in [below[f"ours-{dtype}"]]
    ]
    return served + kernels


def is_kernels(side):
    return side.key.startswith("kernels-")
