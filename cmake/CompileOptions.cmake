# Compiler and linker options of all our targets.
#
# The instruction set is the compiler's baseline for the platform: a file that needs more is given its flags by name,
# and chosen at run time. -ffp-contract=off keeps a * b + c two roundings unless the source says fma.

# Options of code that is ours: library, tests.
function(dolly4j_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_17)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_compile_options(${target} PRIVATE
    # g++ leaves signs out of -Wconversion, clang++ does not: an int may index a vector.
    -Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow
    $<$<BOOL:${DOLLY4J_WARNINGS_AS_ERRORS}>:-Werror>
    -ffp-contract=off
    -ffunction-sections -fdata-sections
    $<$<CONFIG:Release>:-g1>
    "-ffile-prefix-map=${CMAKE_SOURCE_DIR}=native")
  if(DOLLY4J_SANITIZE)
    target_compile_options(${target} PUBLIC
      -fsanitize=${DOLLY4J_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${DOLLY4J_SANITIZE})
  endif()
endfunction()

# Link options of the shared library: exports d4j_* only, needs nothing but the C library. Once loaded it stays: the JVM
# unloads a library with the class loader that loaded it, and the thread pool's threads go on.
function(dolly4j_shared_library_options target)
  set(version_script "${DOLLY4J_CMAKE_DIR}/dolly4j.map")
  set_target_properties(${target} PROPERTIES LINK_DEPENDS "${version_script}")
  target_link_options(${target} PRIVATE
    "-Wl,--version-script=${version_script}" -Wl,--gc-sections -Wl,--as-needed -Wl,-z,nodelete)
  if(DOLLY4J_SANITIZE)
    target_link_options(${target} PRIVATE -fsanitize=${DOLLY4J_SANITIZE})
  else()
    target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc -Wl,-z,defs)
  endif()
endfunction()
