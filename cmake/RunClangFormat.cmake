# Script of the targets in Format.cmake: lists the sources at the time of the run, so that new files are covered.
file(GLOB_RECURSE sources
  "${ROOT}/include/*.h" "${ROOT}/src/*.h" "${ROOT}/src/*.cpp" "${ROOT}/src/*.cu" "${ROOT}/test/*.h" "${ROOT}/test/*.cpp")
execute_process(COMMAND "${CLANG_FORMAT}" ${MODE} ${sources} RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "Not formatted; run: cmake --build BUILD_DIR --target format")
endif()
