# Targets `format` (rewrites the sources) and `format-check` (fails if one is not formatted), and the latter as a test.
# All cover every .h, .cpp and .cu below native/. Each version of clang-format formats a little otherwise: one decides.

set(DOLLY4J_CLANG_FORMAT_VERSION 19)
find_program(CLANG_FORMAT NAMES clang-format-${DOLLY4J_CLANG_FORMAT_VERSION} clang-format)

set(missing "")
if(NOT CLANG_FORMAT)
  set(missing "clang-format is not installed")
else()
  execute_process(COMMAND "${CLANG_FORMAT}" --version OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT version MATCHES "version ${DOLLY4J_CLANG_FORMAT_VERSION}[.]")
    set(missing "${CLANG_FORMAT} is ${version}")
  endif()
endif()

if(missing)
  string(APPEND missing "; pip install clang-format==${DOLLY4J_CLANG_FORMAT_VERSION}.1.7")
  message(STATUS "native format check skipped: ${missing}")
  foreach(target IN ITEMS format format-check)
    add_custom_target(${target} COMMAND ${CMAKE_COMMAND} -E echo "${missing}" COMMAND ${CMAKE_COMMAND} -E false VERBATIM)
  endforeach()
  return()
endif()

set(run_clang_format ${CMAKE_COMMAND} "-DCLANG_FORMAT=${CLANG_FORMAT}" "-DROOT=${CMAKE_CURRENT_SOURCE_DIR}"
  -P "${DOLLY4J_CMAKE_DIR}/RunClangFormat.cmake")
add_custom_target(format COMMAND ${run_clang_format} rewrite VERBATIM)
add_custom_target(format-check COMMAND ${run_clang_format} check VERBATIM)
add_test(NAME format COMMAND ${run_clang_format} check)
