# Kernel files, each compiled for one instruction set (native/src/cpu/isa.h) and chosen at run time.

# dolly4j_isa_sources(ISA FILES...): appends the files to ISA_SOURCES of the caller and gives them the instruction set's
# compiler options. Where the platform does not have the instruction set, the files are left out.
function(dolly4j_isa_sources isa)
  set(avx2 -mavx2 -mfma -mf16c)
  # g++ 12 takes what its own AVX-512 intrinsics leave undefined on purpose for a mistake (its bug 105593).
  set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
    $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  set(avx512_bf16 ${avx512} -mavx512bf16)
  set(amx ${avx512_bf16} -mamx-tile -mamx-bf16 -mamx-int8)
  if(NOT isa STREQUAL "generic")
    if(NOT DEFINED ${isa})
      message(FATAL_ERROR "Unknown instruction set: ${isa}")
    endif()
    if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
      return()
    endif()
    # Kernels throw nothing; code for exceptions would refer to symbols that the linker shares between files.
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "${${isa}};-fno-exceptions")
  endif()
  set(ISA_SOURCES ${ISA_SOURCES} ${ARGN} PARENT_SCOPE)
endfunction()
