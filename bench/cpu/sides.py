"""The sides of bench/run.sh cpu: how each is started, and what its steps need from the machine."""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCH = HERE.parent


@dataclass(frozen=True)
class Weights:
    """Bytes that matrices take: so many a weight, and for each output."""

    each: float
    output: float = 0

    def bytes(self, weights, outputs):
        return weights * self.each + outputs * self.output


FLOAT32, BFLOAT16 = Weights(4), Weights(2)
Q8_0, Q4_0, Q6_K = Weights(34 / 32), Weights(18 / 32), Weights(210 / 256)
INT8 = Weights(1, output=4)  # a float32 scale for each output

# What our kernels run: bits, matrices of the layers, head. int4 has a scale of 2 bytes for 64 weights.
OURS = {
    "bfloat16": (16, BFLOAT16, BFLOAT16),
    "int8": (8, INT8, INT8),
    "int4": (4, Weights(0.5 + 2 / 64), INT8),
}

# Bytes of a number in the KV cache.
CACHE_16, CACHE_32 = 2, 4


@dataclass(frozen=True)
class Shape:
    """Sizes of a GPT-NeoX model."""

    layers: int
    hidden: int
    vocabulary: int

    @staticmethod
    def of(config):
        return Shape(config["num_hidden_layers"], config["hidden_size"], config["vocab_size"])

    @property
    def block_weights(self):
        """Of the matrices of all layers."""
        return self.layers * 12 * self.hidden**2

    @property
    def block_outputs(self):
        """Of the same: queries, keys and values, the projection of attention, both matrices of the feed-forward."""
        return self.layers * (3 + 1 + 4 + 1) * self.hidden

    @property
    def head_weights(self):
        return self.vocabulary * self.hidden


@dataclass(frozen=True)
class Row:
    """One line of the table: a prefill of that many tokens, or decode of so many sequences with so long a context."""

    kind: str
    tokens: int = 0
    batch: int = 1
    context: int = 0

    @property
    def label(self):
        return f"prefill-{self.tokens}" if self.kind == "prefill" else f"decode-{self.batch}@{self.context}"

    def operations(self, shape):
        """Of a run (prefill) or a step (decode); additions included."""
        if self.kind == "prefill":
            attention = 2 * shape.layers * shape.hidden * self.tokens**2  # half of the products are masked
            return 2 * (self.tokens * shape.block_weights + shape.head_weights) + attention
        attention = 4 * shape.layers * shape.hidden * self.context
        return self.batch * (2 * (shape.block_weights + shape.head_weights) + attention)

    def numbers_cached(self, shape):
        """Keys and values that a run reads."""
        return self.batch * self.context * 2 * shape.layers * shape.hidden


@dataclass(frozen=True)
class Side:
    key: str
    name: str
    bits: int  # of a weight, roughly
    ours: bool
    command: tuple
    weights: Weights  # of the layers
    head: Weights
    cache_bytes: float
    tolerance: float  # of the mean KL divergence from float32
    files: tuple = ()  # without which it cannot run

    @property
    def compared_bits(self):
        """Sides of the same number are compared. Nothing is gained or lost by holding a bfloat16 file in float32."""
        return min(self.bits, 16)

    def bytes(self, row, shape):
        """That a run or a step must read: weights once, keys and values once. Of the embedding only a few rows are."""
        blocks = self.weights.bytes(shape.block_weights, shape.block_outputs)
        head = self.head.bytes(shape.head_weights, shape.vocabulary)
        return blocks + head + row.numbers_cached(shape) * self.cache_bytes

    def memory(self, rows, shape):
        """Bytes that the process needs, with about what the runtimes take themselves."""
        embedding = shape.head_weights * max(BFLOAT16.each, self.weights.each)
        return embedding + max(self.bytes(row, shape) for row in rows) + (1 << 30)


# Mean KL divergence from float32 logits that a right computation with weights of so many bits stays below. Without
# rotary embedding it is about 0.04, with wrong weights above 1; random weights lose more than trained ones in 4 bits.
TOLERANCES = {32: 1e-6, 16: 5e-4, 8: 1e-2, 4: 0.2}

# Of a side that tells only the tokens it chooses: how far below the best one's float32 logit theirs may be. The best of
# the vocabulary is about 6 above a token picked at random; with weights of 4 bits, 0.75 was seen.
GREEDY_TOLERANCES = {32: 0.5, 16: 0.5, 8: 0.5, 4: 1.0}


@dataclass(frozen=True)
class Workers:
    """The programs that the sides are: a class of ours, scripts of the peers."""

    dolly4j: str
    transformers: Path
    ctranslate2: Path
    llama: Path


THROUGHPUT = Workers(
    "org.dolly4j.bench.DecoderThroughput",
    HERE / "transformers_worker.py",
    HERE / "ctranslate2_worker.py",
    HERE / "llama_worker.mjs",
)


def all_sides(paths, threads, workers=THROUGHPUT):
    checkpoint = paths.checkpoint
    python = (paths.python,)
    java = ("java", "-Xmx2g")
    ours = (*java, "-cp", f"{BENCH}/target/*:{BENCH}/target/lib/*", workers.dolly4j, checkpoint)

    def dolly4j(key, name, backend, dtype):
        bits, weights, head = OURS[dtype]
        command = (*ours, backend, dtype, threads)
        return Side(key, name, bits, backend == "kernels", command, weights, head, CACHE_16, TOLERANCES[bits])

    def transformers(key, dtype, bits, weights, cache):
        command = (*python, workers.transformers, checkpoint, dtype, threads)
        return Side(key, f"transformers {dtype}", bits, False, command, weights, weights, cache, TOLERANCES[bits])

    def llama(dtype, bits, weights, head):
        command = ("node", workers.llama, paths.gguf(dtype), threads)
        files = (paths.gguf(dtype), paths.node_modules / "node-llama-cpp")
        name = f"llama.cpp {dtype}"
        return Side(f"llama-{dtype}", name, bits, False, command, weights, head, CACHE_16, TOLERANCES[bits], files)

    jars = f"{paths.llama_jar}:{BENCH}/target/lib/*"
    # The library prints to stdout: answers go to a descriptor of their own.
    jvm = ("sh", "-c", 'exec "$@" 3>&1 1>&2', "sh", *java, "-cp", jars, HERE / "LlamaJvmWorker.java")
    jvm = (*jvm, paths.gguf("q8_0"), threads, paths.llama_jar.stem)
    return [
        *(dolly4j(f"ours-{dtype}", f"dolly4j {dtype}", "kernels", dtype) for dtype in OURS),
        dolly4j("libtorch", "dolly4j libtorch bfloat16", "libtorch", "bfloat16"),
        transformers("transformers", "bfloat16", 16, BFLOAT16, CACHE_16),
        transformers("transformers-float32", "float32", 32, FLOAT32, CACHE_32),
        Side(
            "ctranslate2",
            "CTranslate2 int8",
            8,
            False,
            (*python, workers.ctranslate2, paths.ctranslate2, threads),
            INT8,
            INT8,
            CACHE_32,
            TOLERANCES[8],
            (paths.ctranslate2,),
        ),
        llama("bf16", 16, BFLOAT16, BFLOAT16),
        llama("q8_0", 8, Q8_0, Q8_0),
        llama("q4_0", 4, Q4_0, Q6_K),
        Side(
            "llama-jvm",
            "llama.cpp q8_0 (JVM)",
            8,
            False,
            jvm,
            Q8_0,
            Q8_0,
            CACHE_16,
            TOLERANCES[8],
            (paths.gguf("q8_0"), paths.llama_jar),
        ),
    ]
