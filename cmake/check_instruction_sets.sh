#!/usr/bin/env bash
# Test script: no instruction beyond the compiler's baseline outside the kernel files compiled for it (cpu_avx2.cpp,
# cpu_avx512.cpp, ...), which only a CPU that has it ever calls.
#
#   check_instruction_sets.sh OBJDUMP NM ARCHIVE LIBRARY
#
# ARCHIVE has the objects that LIBRARY is linked from, both with their symbols.
#
# 1. In an object of another file: none.
# 2. A kernel file defines no function that the linker could take for other files: an inline function is a weak symbol,
#    and of the copies that several files hold it keeps one.
# 3. A kernel file has nothing to initialise: that would run, on any CPU, when the library is loaded.
# 4. In the library: only in the functions of kernel files. This sees what the linker really kept, also of the runtime
#    libraries.
#
# Of every instruction set that there are kernel files for, archive and library must have an instruction in those: else
# the disassembly is not what this script reads, and it would find nothing in other files either.
set -euo pipefail
export LC_ALL=C

objdump=$1
nm=$2
archive=$3
library=$4

fail() {
  echo "$1"
  exit 1
}

for tool in "$objdump" "$nm"; do
  if ! command -v "$tool" >/dev/null 2>&1; then
    echo "skipped: objdump and nm are not installed (Debian, Ubuntu: apt install binutils)"
    exit 0
  fi
done
for file in "$archive" "$library"; do
  [ -r "$file" ] || fail "no such file: $file"
done
headers=$("$objdump" --file-headers "$library") || fail "$objdump cannot read $library"
case $headers in
  *'file format elf64-x86-64'*) ;;
  *)
    echo "skipped: only x86-64 has kernels for several instruction sets"
    exit 0
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The level of an object is that of its name; member_of takes the name from nm's ARCHIVE:OBJECT:ADDRESS.
level_of='
  function member_of(place,   parts) { return parts[split(place, parts, ":") - 1] }
  function level_of(file) {
    if (file ~ /(^|_)avx2[.]cpp[.]o$/) return 1
    if (file ~ /(^|_)avx512[.]cpp[.]o$/) return 2
    if (file ~ /(^|_)avx512_bf16[.]cpp[.]o$/) return 3
    if (file ~ /(^|_)amx[.]cpp[.]o$/) return 4
    return 0
  }'

# Prints "FUNCTION LEVEL FILE INSTRUCTION" for every instruction beyond the baseline; LEVEL as in level_of. By
# encoding: in 64-bit code the first byte c4 or c5 is VEX's and 62 is EVEX's, whatever the registers.
beyond_baseline() {
  "$objdump" --disassemble --wide "$1" | awk -F '\t' '
    / file format / { file = $0; sub(/:.*/, "", file); next }
    /^[0-9a-f]+ <.*>:$/ {
      function_name = $0
      sub(/^[0-9a-f]+ </, "", function_name)
      sub(/>:$/, "", function_name)
      next
    }
    NF >= 3 {
      level = 0
      if ($2 ~ /^c[45] /) level = $3 ~ /%k[0-7]/ ? 2 : 1
      if ($2 ~ /^62 /) level = 2
      # By the name alone: addresses and symbols behind it may hold the same letters.
      if ($3 ~ /^v[a-z0-9]*bf16/) level = 3
      if ($3 ~ /^tile|^tdp|^(ld|st)tilecfg/) level = 4
      if (level > 0) { gsub(/[ \t]+/, " ", $3); print function_name, level, file, $3 }
    }'
}

beyond_baseline "$archive" >"$work/archive" || fail "$objdump cannot disassemble $archive"
beyond_baseline "$library" >"$work/library" || fail "$objdump cannot disassemble $library"
"$nm" --print-file-name --defined-only "$archive" >"$work/symbols" || fail "$nm cannot read $archive"

# "FUNCTION LEVEL" for every function that a kernel file compiled for more than the baseline defines.
awk "$level_of"'
  { level = level_of(member_of($1)) }
  level > 0 && ($2 == "t" || $2 == "T") { print $3, level }' "$work/symbols" >"$work/functions"

found=$(
  awk "$level_of"'
    $2 > level_of($3) && !seen[$3 $1]++ { print "  " $3 ": " $1 " has: " substr($0, length($1 $2 $3) + 4) }
  ' "$work/archive"
)
mergeable=$(
  awk "$level_of"'
    level_of(member_of($1)) > 0 && $2 ~ /[Wi]/ { print "  " member_of($1) ": " $3 }' "$work/symbols" | sort -u
)
initialisers=$(
  awk "$level_of"'
    level_of(member_of($1)) > 0 && $3 ~ /^_GLOBAL__sub_[ID]/ { print "  " member_of($1) ": " $3 }' "$work/symbols" |
    sort -u
)
linked=$(
  awk '
    NR == FNR { if (level[$1] < $2) level[$1] = $2; next }
    $2 > level[$1] && !seen[$1]++ { print "  " $1 " has: " substr($0, length($1 $2 $3) + 4) }
  ' "$work/functions" "$work/library"
)
# The levels of kernel files of which the archive's have no instruction, or the library.
unread=$(
  awk "$level_of"'
    BEGIN { split("AVX2,AVX-512,AVX-512 BF16,AMX", names, ",") }
    FILENAME ~ /functions$/ { compiled[$2] = 1 }
    FILENAME ~ /archive$/ && $2 == level_of($3) { in_archive[$2] = 1 }
    FILENAME ~ /library$/ { in_library[$2] = 1 }
    END {
      for (level = 1; level <= 4; level++) {
        if (compiled[level] && !in_archive[level]) print "  " names[level] ", in the files compiled for it"
        if (compiled[level] && !in_library[level]) print "  " names[level] ", in the library"
      }
    }
  ' "$work/functions" "$work/archive" "$work/library"
)

status=0
if [ ! -s "$work/functions" ]; then
  echo "$archive has no kernel file: are they named otherwise than cpu_avx2.cpp?"
  status=1
fi
report() {
  if [ -n "$2" ]; then
    printf '%s\n%s\n' "$1" "$2"
    status=1
  fi
}
report "No instruction is found of these sets; does $objdump print what this script reads?" "$unread"
report "Instructions of a set that the file is not compiled for by its name:" "$found"
report "Kernel files define functions that the linker may use for other files (make them always_inline, or put them into
an anonymous namespace):" "$mergeable"
report "Kernel files have initialisers, which run when the library is loaded:" "$initialisers"
report "$library has instructions beyond the baseline in functions of no kernel file:" "$linked"
exit $status
