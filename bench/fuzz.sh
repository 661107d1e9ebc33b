#!/usr/bin/env bash
# Fuzzes the readers of model files, and keeps the inputs that reach most in java/core/src/test/resources/fuzz.
#
#   bench/fuzz.sh SECONDS [TARGET ...]
#
# Targets: ConfigTarget, IndexTarget, PickleTarget, SafetensorsTarget, TokenizerTarget, TorchFileTarget, VocabularyTarget.
#
# SECONDS for each target, one after the other. `mvn verify` fuzzes each for some seconds too (-Ddolly4j.fuzz.seconds=N).
# Needs the classes of java/core's tests: mvn test-compile.
set -euo pipefail
(($#)) || {
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
  exit 2
}
cd "$(dirname "$0")/../java/core"
mvn -q -o dependency:build-classpath -Dmdep.outputFile=target/test-classpath -Dmdep.includeScope=test
exec java -cp "target/test-classes:target/classes:$(cat target/test-classpath)" org.dolly4j.fuzz.Fuzzing "$@"
