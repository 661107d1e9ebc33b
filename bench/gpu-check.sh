#!/usr/bin/env bash
# Proves dolly4j on the CUDA device of this machine and times it there: the native tests, the goldens, and answers of a
# model of the 3b shape with random weights.
#
#   bench/gpu-check.sh GOLDENS [TOKENIZERS]     folders as `./dolly check` takes them
#
# Needs a libtorch with CUDA, 2.10 or later: LIBTORCH names its folder, by default torch/lib of python3's torch package.
# Java and the built jars are those of ./dolly unless JAVA and DOLLY4J_CLASSPATH name others. A part that lacks
# something says so and counts as failed: nothing is skipped in silence.
set -uo pipefail
cd "$(dirname "$0")/.."
resources=java/core/src/test/resources
goldens=${1:?usage: bench/gpu-check.sh GOLDENS [TOKENIZERS]}
tokenizers=${2:-$goldens/..}
java=${JAVA:-java}
classpath=${DOLLY4J_CLASSPATH:-java/cli/target/dolly4j-cli.jar:bench/target/*}
libtorch=${LIBTORCH:-$(python3 -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))')} || {
  echo "gpu-check: no libtorch: pip install torch, or name the folder of libtorch_cpu.so in LIBTORCH" >&2
  exit 1
}
failed=()

part() {
  local name=$1
  shift
  echo "== $name"
  local start=$SECONDS
  "$@" || failed+=("$name")
  echo "== $name: $((SECONDS - start)) s"
}

dolly() { "$java" "-Ddolly4j.libtorch=$libtorch" -Xmx1g -cp "$classpath" org.dolly4j.cli.Main "$@"; }

native_tests() { native/build.sh build/native-gpu test "-DDOLLY4J_TEST_LIBTORCH=$libtorch"; }

check() { dolly check "$goldens" --tokenizers "$tokenizers" --backend libtorch --device cuda; }

answers() {
  local folder
  folder=$(mktemp -d)
  "$java" -cp "$classpath" org.dolly4j.bench.RandomCheckpoint --shape 3b --out "$folder/3b" \
    --tokenizer "$resources/tokenizers/gpt-neox-20b" &&
    for _ in 1 2 3; do
      dolly --model "$folder/3b" --backend libtorch --device cuda --greedy --max-new-tokens 128 --json \
        "Why is the sky blue?" | python3 -c '
import json, sys
answer = json.load(sys.stdin)
answer.pop("text", None)
answer.pop("token_ids", None)
print(json.dumps(answer))' || break
    done
  local result=$?
  rm -rf "$folder"
  return $result
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || exit 1
grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'
echo "libtorch: $libtorch"
part "native tests" native_tests
part "goldens" check
part "3b shape" answers
if ((${#failed[@]})); then
  printf 'gpu-check: FAILED: %s\n' "${failed[@]}"
  exit 1
fi
echo "gpu-check: all parts passed"
