#!/usr/bin/env bash
# Times the tokenizer against the tokenizers package: both on one thread, alternating, in one run.
#
#   bench/tokenizer.sh [ROUNDS]      5 rounds unless said; takes about a minute each
#
# PYTHON names a Python that has the tokenizers package (pip install tokenizers).
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5}
python=${PYTHON:-python3}
"$python" -c 'import tokenizers' 2>/dev/null || {
    echo "$python has no tokenizers package: pip install tokenizers, or name another Python in PYTHON" >&2
    exit 1
}
mvn -q -B -pl bench -am package -DskipTests
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
java -cp 'bench/target/*:bench/target/lib/*' org.dolly4j.bench.TokenizerBenchmark >"$results/unseen.jsonl"
"$python" bench/tokenizer_peer.py check "$results/unseen.jsonl"
files=()
for ((round = 1; round <= rounds; round++)); do
    java -cp 'bench/target/*:bench/target/lib/*' org.openjdk.jmh.Main TokenizerBenchmark \
        -rf json -rff "$results/jmh-$round.json" >"$results/jmh.log" || { cat "$results/jmh.log" >&2; exit 1; }
    "$python" bench/tokenizer_peer.py time >"$results/peer-$round.json"
    files+=("$results/jmh-$round.json" "$results/peer-$round.json")
done
grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'
java -version 2>&1 | head -1
echo "$(date +%F); load average $(cut -d' ' -f1 /proc/loadavg)"
"$python" bench/tokenizer_peer.py compare "${files[@]}"
