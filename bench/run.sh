#!/usr/bin/env bash
# Whole-model benchmarks beside peers, in one alternating run.
#
#   bench/run.sh cpu [--quick] [--shape 3b|1.4b|70m] [--threads 2] [--work DIR] [--sides A,B] [--repetitions N]
#   bench/run.sh serving [--quick] [--shape 3b|1.4b|70m|demo] [--users 1,4,16,64] [--rates R,R] [--seconds N] ...
#   bench/run.sh cpu|serving --help                                                              all options
#   bench/run.sh merge [--work DIR] RESULTS.json...                                     one table of several runs
#
# cpu times prefill and decode of so many sequences, serving the answers to users who come and go.
# Builds dolly4j, and installs once into the work folder (build/bench): Hugging Face transformers, CTranslate2, and
# llama.cpp by packages for Node and for the JVM; writes there a checkpoint with random weights and its conversions
# (3b: 18 GB, 1.4b: 9 GB, 70m: 0.5 GB; installs 7 GB). A peer that cannot be installed is left out, and the run says
# why. Then every side shows that it computes the right logits, and is timed: README.md says how.
# Needs python3 with venv, node and npm, a JDK, Maven, CMake and g++.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} != cpu && ${1-} != serving && ${1-} != merge ]]; then
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' bench/run.sh >&2
  exit 2
fi
command=$1 && shift
work=build/bench
arguments=()
while (($#)); do
  case $1 in
    --work) work=${2:?--work needs a folder} && shift 2 ;;
    *) arguments+=("$1") && shift ;;
  esac
done
mkdir -p "$work/logs"
work=$(cd "$work" && pwd)
cpu=$PWD/bench/cpu
if [[ $command = merge ]]; then
  exec "$work/venv/bin/python" "$cpu/report.py" "$work/results/merged-$(date +%Y-%m-%d-%H%M%S)" "${arguments[@]}"
fi
llama_version=4.2.0

# step NAME COMMAND...: output goes to a log, of which the last lines are shown if the command fails.
step() {
  local log=$work/logs/$1.log
  echo "$1"
  "${@:2}" >"$log" 2>&1 || {
    echo "bench/run.sh: '$1' failed, $log ends with:" >&2
    tail -3 "$log" >&2
    return 1
  }
}

# Whether a file is there and none of the sources after it is newer.
current() { [[ -e $1 && -z $(find "${@:2}" -newer "$1" -print -quit) ]]; }

install_python() {
  python3 -m venv "$work/venv" && "$work/venv/bin/pip" install -r "$cpu/requirements.txt" &&
    cp "$cpu/requirements.txt" "$work/venv/"
}

install_node() {
  mkdir -p "$work/node" && cp "$cpu/package.json" "$work/node/" &&
    npm install --prefix "$work/node" --ignore-scripts --no-audit --no-fund
}

build_probe() {
  cmake -S native -B build/native-bench -DDOLLY4J_BENCH=ON &&
    cmake --build build/native-bench --target limits_probe --parallel "$(nproc)"
}

current "$(echo bench/target/dolly4j-bench-*.jar)" pom.xml native/src native/include java/core/src/main bench/src ||
  step "building dolly4j" mvn -q -B -ntp -DskipTests -pl bench -am package
current build/native-bench/bench/limits_probe native/bench native/src/cpu || step "building the limits probe" build_probe
cmp -s "$cpu/requirements.txt" "$work/venv/requirements.txt" || step "installing the Python peers" install_python
cmp -s "$cpu/package.json" "$work/node/package.json" && [[ -e $work/node/node_modules/.package-lock.json ]] ||
  step "installing node-llama-cpp" install_node || true
[[ -e $work/jars/llama-$llama_version.jar ]] ||
  step "installing de.kherud:llama" mvn -q -B dependency:copy -Dartifact=de.kherud:llama:$llama_version \
    "-DoutputDirectory=$work/jars" || true
export NODE_PATH=$work/node/node_modules
program=$cpu/throughput.py
if [[ $command = serving ]]; then
  export PYTHONPATH=$cpu
  program=$PWD/bench/serving/serving.py
fi
exec "$work/venv/bin/python" "$program" --work "$work" ${arguments[@]+"${arguments[@]}"}
