# Targets `format` (rewrites the sources) and `format-check` (fails on the first file that is not formatted).
# Both cover every .h, .cpp and .cu below native/.

find_program(CLANG_FORMAT clang-format)
set(absent "clang-format is not installed: apt install clang-format (Debian, Ubuntu), or pip install clang-format.")

foreach(target IN ITEMS format format-check)
  if(NOT CLANG_FORMAT)
    add_custom_target(${target} COMMAND ${CMAKE_COMMAND} -E echo "${absent}" COMMAND ${CMAKE_COMMAND} -E false VERBATIM)
    continue()
  endif()
  if(target STREQUAL "format")
    set(mode -i)
  else()
    set(mode --dry-run --Werror)
  endif()
  add_custom_target(${target}
    COMMAND ${CMAKE_COMMAND}
      "-DCLANG_FORMAT=${CLANG_FORMAT}" "-DMODE=${mode}" "-DROOT=${CMAKE_CURRENT_SOURCE_DIR}"
      -P "${DOLLY4J_CMAKE_DIR}/RunClangFormat.cmake"
    VERBATIM)
endforeach()
