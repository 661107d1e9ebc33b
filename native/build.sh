#!/bin/sh
# Builds or tests the native library. Called by Maven; works alone too.
#
#   native/build.sh BUILD_DIR [build|test] [options of cmake's configure stage, for instance --preset asan-ubsan]
#
# build  configures and compiles what has changed: BUILD_DIR/libdolly4j.so (the default)
# test   builds, then runs the tests and checks the format of the sources; what is skipped is reported with its reason
set -eu

fail() {
  echo "native/build.sh: $1" >&2
  exit 1
}

[ $# -ge 1 ] || fail "usage: native/build.sh BUILD_DIR [build|test] [cmake options]"
build_dir=$1
stage=${2:-build}
[ $# -ge 2 ] && shift 2 || shift 1
case $stage in
  build | test) ;;
  *) fail "unknown stage '$stage': expected build or test." ;;
esac

has() {
  command -v "$1" >/dev/null 2>&1
}

has cmake || fail "CMake is not installed: apt install cmake (3.21 or later)."
if [ -n "${CXX:-}" ]; then
  has "${CXX%% *}" || fail "the C++ compiler named by CXX, '$CXX', is not installed: unset CXX, or apt install g++."
else
  has c++ || has g++ || has clang++ || fail "no C++ compiler is installed: apt install g++."
fi
if has ninja; then
  default_generator=Ninja
elif has make; then
  default_generator="Unix Makefiles"
else
  fail "neither ninja nor make is installed: apt install ninja-build."
fi

source_dir=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$build_dir"
build_dir=$(cd "$build_dir" && pwd)
# A build directory keeps the generator it was configured with.
if [ ! -f "$build_dir/CMakeCache.txt" ]; then
  CMAKE_GENERATOR=${CMAKE_GENERATOR:-$default_generator}
  export CMAKE_GENERATOR
fi

# quietly NAME COMMAND...: the output is shown only if the command fails; prints how long it took.
quietly() {
  name=$1
  shift
  start=$(date +%s)
  if "$@" >"$build_dir/$name.log" 2>&1; then
    echo "native $name: $(($(date +%s) - start)) s"
  else
    cat "$build_dir/$name.log" >&2
    fail "$name failed."
  fi
}

jobs=$(getconf _NPROCESSORS_ONLN)
quietly configure cmake -S "$source_dir" -B "$build_dir" "$@"
grep -oE "native (tests|format check) skipped: .*" "$build_dir/configure.log" || true
if [ "$stage" = build ]; then
  # The libraries alone: the tests take longer to compile than all the rest.
  quietly compile cmake --build "$build_dir" --parallel "$jobs" --target libraries
else
  quietly compile cmake --build "$build_dir" --parallel "$jobs"
  start=$(date +%s)
  ctest --test-dir "$build_dir" --output-on-failure --parallel "$jobs" || fail "test failed."
  # GoogleTest prints the reason on the line after "Skipped", and then the name of the test.
  awk '
    /: Skipped$/ { getline reason }
    /^\[  SKIPPED \] .* \([0-9]+ ms\)$/ { count[reason]++ }
    END { for (reason in count) printf "native tests skipped: %d: %s\n", count[reason], reason }
  ' "$build_dir/Testing/Temporary/LastTest.log"
  echo "native test: $(($(date +%s) - start)) s"
fi
