"""What the sides need on disk, made once: a checkpoint (random weights, or the demo model), its conversions, and the
float32 logits."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sides import BENCH, HERE

# Deviations of the weights for which attention looks at few tokens, so that wrong positions show in the logits.
DEVIATIONS = {"70m": 0.06, "1.4b": 0.03, "3b": 0.027}
DEMO = BENCH.parent / "java/demo-model/src/main/resources/org/dolly4j/demo"
TOKENIZER = BENCH.parent / "java/core/src/test/resources/tokenizers/gpt-neox-20b"


@dataclass(frozen=True)
class Paths:
    work: Path
    shape: str

    @property
    def models(self):
        return self.work / "models" / self.shape

    @property
    def checkpoint(self):
        return self.models / "checkpoint"

    @property
    def ctranslate2(self):
        return self.models / "ctranslate2-int8"

    def gguf(self, dtype):
        return self.models / f"{dtype}.gguf"

    @property
    def reference(self):
        return self.models / "float32-logits.npz"

    @property
    def python(self):
        return Path(sys.executable)

    @property
    def node_modules(self):
        return self.work / "node/node_modules"

    @property
    def llama_jar(self):
        jars = sorted((self.work / "jars").glob("llama-*.jar"))
        return jars[-1] if jars else self.work / "jars/llama.jar"

    @property
    def limits_probe(self):
        return Path(__file__).resolve().parents[2] / "build/native-bench/bench/limits_probe"


def made(path, command, variables):
    """Makes a file or folder with a command that writes to the path put last; nothing half made keeps the name."""
    if path.exists():
        return
    print(f"writing {path}", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part-{path.name}")
    shutil.rmtree(part, ignore_errors=True)
    part.unlink(missing_ok=True)
    done = subprocess.run(list(map(str, (*command, part))), check=False, env=variables, capture_output=True, text=True)
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise RuntimeError(f"{path.name} could not be made: {words[-1] if words else 'no message'}")
    part.rename(path)


def checkpoint_command(shape):
    if shape == "demo":
        return "cp", "-r", DEMO
    java = ("java", "-cp", f"{BENCH}/target/*:{BENCH}/target/lib/*", "org.dolly4j.bench.RandomCheckpoint")
    return *java, "--shape", shape, "--deviation", DEVIATIONS[shape], "--tokenizer", TOKENIZER, "--out"


def prepare(paths, wanted, variables):
    """Returns the reasons why files are missing, by path."""
    made(paths.checkpoint, checkpoint_command(paths.shape), variables)
    made(paths.reference, (paths.python, HERE / "reference.py", paths.checkpoint), variables)
    commands = {paths.ctranslate2: (paths.python, HERE / "ctranslate2_converter.py", paths.checkpoint)}
    for dtype in ("bf16", "q8_0", "q4_0"):
        commands[paths.gguf(dtype)] = (paths.python, HERE / "gguf_writer.py", paths.checkpoint, dtype)
    failed = {}
    for path, command in commands.items():
        if path in wanted:
            try:
                made(path, command, variables)
            except RuntimeError as failure:
                failed[path] = str(failure)
    return failed
