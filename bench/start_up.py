#!/usr/bin/env python3
"""Times how a model starts: from cold and warm files, and from the cache of packed weights; and what memory it takes.

  bench/start_up.py --model DIR [--dtypes bfloat16,int8,int4] [--cached int8,int4] [--starts 5] [--threads N]

Every start is a process of its own (StartUp.java). Starts from the files of the model alternate between the types,
each time with the files dropped from the page cache, beside a plain read of them as cold, and then warm. A virtual
machine may first have to be given the memory that a load needs: how long as much memory takes alone is measured too.
After that each type in --cached is started once with an empty cache, which keeps its weights, once more to archive
Java's classes, and then again and again, with the file in the page cache and the classes from their archive, as ./dolly
keeps them.
Needs the jars that `mvn -q -DskipTests package` builds. Prints Markdown: minimum, median and maximum.
"""

import argparse
import json
import mmap
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
READ_BYTES = 16 << 20
HEAP_MB = 128


def drop(path):
    """Takes a file out of the page cache."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def read_seconds(files):
    """How long it takes to read files one after the other."""
    start = time.monotonic()
    buffer = bytearray(READ_BYTES)
    for path in files:
        with open(path, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while file.readinto(buffer):
                pass
    return time.monotonic() - start


def hand_out_seconds(size):
    """How long it takes to get so many bytes of memory, in huge pages where the system has them."""
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        start = time.monotonic()
        memory[::mmap.PAGESIZE] = bytes(-(-size // mmap.PAGESIZE))
        return time.monotonic() - start


def start(model, dtype, threads, cache=None, options=()):
    """What StartUp reports of one start."""
    classpath = f"{ROOT}/bench/target/*:{ROOT}/bench/target/lib/*"
    command = ["java", f"-Xmx{HEAP_MB}m", "-XX:+UseSerialGC", "-Xlog:cds*=off", *options, "-cp", classpath, "org.dolly4j.bench.StartUp"]
    command += ["--model", model, "--dtype", dtype, "--threads", str(threads)]
    command += ["--cache", cache] if cache else []
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def spread(values, digits=2):
    """Minimum, median and maximum."""
    return " / ".join(f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))


def over_need(starts):
    """Most resident memory beyond the weights, in MB. The KV cache is resident as far as it is used: hardly, here."""
    return max(one["peak_resident_bytes"] - one["weight_bytes"] for one in starts) / 1e6


def resident(starts):
    """Most resident memory, in MB."""
    return max(one["peak_resident_bytes"] for one in starts) / 1e6


def heap(starts):
    """Most of Java's heap in use, in MB."""
    return max(one["peak_heap_bytes"] for one in starts) / 1e6


def row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def from_files(model, files, dtypes, threads, repetitions):
    size = sum(os.path.getsize(path) for path in files)
    reads, hand_outs, cold, warm = [], [], {dtype: [] for dtype in dtypes}, {dtype: [] for dtype in dtypes}
    for _ in range(repetitions):
        for dtype in dtypes:
            for path in files:
                drop(path)
            reads.append(read_seconds(files))
            hand_outs.append(hand_out_seconds(size))
            for path in files:
                drop(path)
            cold[dtype].append(start(model, dtype, threads))
            warm[dtype].append(start(model, dtype, threads))
    print(f"\nA cold read of the files ({size / 1e9:.2f} GB) takes {spread(reads)} s, "
          f"and to get as much memory {spread(hand_outs)} s.\n")
    row("weights", "cold load, s", "of a cold read", "warm load, s", "first token since JVM start, s", "weights, MB",
        "KV cache, MB", "most resident, MB", "beyond the weights, MB", f"heap of {HEAP_MB} MB used, MB")
    row(*["---"] * 10)
    for dtype in dtypes:
        loads = [one["load_s"] for one in cold[dtype]]
        one = warm[dtype][0]
        row(dtype, spread(loads), f"{statistics.median(loads) / statistics.median(reads):.2f}",
            spread([one["load_s"] for one in warm[dtype]]), spread([one["first_token_s"] for one in warm[dtype]]),
            f"{one['weight_bytes'] / 1e6:.0f}", f"{one['kv_bytes'] / 1e6:.0f}",
            f"{resident(cold[dtype] + warm[dtype]):.0f}", f"{over_need(cold[dtype] + warm[dtype]):.0f}",
            f"{heap(cold[dtype] + warm[dtype]):.0f}")
    return {dtype: warm[dtype][0]["token"] for dtype in dtypes}


def from_cache(model, dtypes, threads, repetitions, tokens):
    print("\nWith the cache of packed weights:\n")
    row("weights", "first start: load, s", "most resident, MB", "beyond the weights, MB",
        "second starts, warm: load, s", "first token since JVM start, s", "most resident, MB",
        "beyond the weights, MB")
    row(*["---"] * 8)
    for dtype in dtypes:
        with tempfile.TemporaryDirectory() as cache:
            first = start(model, dtype, threads, cache)
            start(model, dtype, threads, cache, [f"-XX:ArchiveClassesAtExit={cache}/classes.jsa"])
            archive = [f"-XX:SharedArchiveFile={cache}/classes.jsa"]
            seconds = [start(model, dtype, threads, cache, archive) for _ in range(repetitions)]
        if {one["token"] for one in [first] + seconds} != {tokens.get(dtype, first["token"])}:
            raise SystemExit(f"{dtype}: from the cache another token follows than from the files")
        row(dtype, f"{first['load_s']:.2f}", f"{resident([first]):.0f}", f"{over_need([first]):.0f}",
            spread([one["load_s"] for one in seconds]), spread([one["first_token_s"] for one in seconds]),
            f"{resident(seconds):.0f}", f"{over_need(seconds):.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dtypes", default="bfloat16,int8,int4")
    parser.add_argument("--cached", default="int8,int4", help="none: leaves these starts out")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0: physical cores")
    arguments = parser.parse_args()
    folder = pathlib.Path(arguments.model)
    files = sorted(map(str, folder.glob("*.safetensors"))) or sorted(map(str, folder.glob("*.bin")))
    if not files:
        parser.error(f"{folder} has no .safetensors or .bin file")
    tokens = from_files(arguments.model, files, arguments.dtypes.split(","), arguments.threads, arguments.starts)
    if arguments.cached != "none":
        from_cache(arguments.model, arguments.cached.split(","), arguments.threads, arguments.starts, tokens)


if __name__ == "__main__":
    main()
