# Script of Format.cmake; its last argument is `check` or `rewrite`. Lists the sources at the time of the run, so that
# new files are covered.
math(EXPR last "${CMAKE_ARGC} - 1")
if(CMAKE_ARGV${last} STREQUAL "rewrite")
  set(mode -i)
else()
  set(mode --dry-run --Werror)
endif()
file(GLOB_RECURSE sources "${ROOT}/*.h" "${ROOT}/*.cpp" "${ROOT}/*.cu")
execute_process(COMMAND "${CLANG_FORMAT}" ${mode} ${sources} RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "Not formatted; run: cmake --build BUILD_DIR --target format")
endif()
