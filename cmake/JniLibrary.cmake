# The JNI library, and the copy of all libraries to where Maven wants them. The generated sources are compiled from
# copies that change only when their text does.
set(DOLLY4J_JAVA_HOME "$ENV{JAVA_HOME}" CACHE PATH "JDK whose jni.h is used")
if(NOT EXISTS "${DOLLY4J_JAVA_HOME}/include/jni.h")
  message(FATAL_ERROR
    "${DOLLY4J_JAVA_HOME} has no include/jni.h: build with a JDK, not a JRE (Debian, Ubuntu: apt install openjdk-17-jdk).")
endif()

set(jni_sources)
foreach(name jnidolly4j.cpp jnijavacpp.cpp)
  configure_file("${DOLLY4J_JNI_SOURCES}/${name}" "${CMAKE_CURRENT_BINARY_DIR}/jni/${name}" COPYONLY)
  list(APPEND jni_sources "${CMAKE_CURRENT_BINARY_DIR}/jni/${name}")
endforeach()

add_library(jnidolly4j SHARED ${jni_sources})
target_compile_features(jnidolly4j PRIVATE cxx_std_17)
target_include_directories(jnidolly4j PRIVATE "${DOLLY4J_JAVA_HOME}/include" "${DOLLY4J_JAVA_HOME}/include/linux")
target_link_libraries(jnidolly4j PRIVATE dolly4j)
target_compile_options(jnidolly4j PRIVATE "-ffile-prefix-map=${CMAKE_CURRENT_BINARY_DIR}=native")
set(version_script "${DOLLY4J_CMAKE_DIR}/jnidolly4j.map")
set_target_properties(jnidolly4j PROPERTIES LINK_DEPENDS "${version_script}")
target_link_options(jnidolly4j PRIVATE "-Wl,--version-script=${version_script}" -static-libstdc++ -static-libgcc -Wl,-z,noexecstack -Wl,-Bsymbolic -s)
set_target_properties(jnidolly4j PROPERTIES INSTALL_RPATH "$ORIGIN" BUILD_WITH_INSTALL_RPATH ON)

add_test(NAME jni_library_exports
  COMMAND ${CMAKE_COMMAND} "-DLIBRARY=$<TARGET_FILE:jnidolly4j>" "-DREADELF=${CMAKE_READELF}"
    -P "${DOLLY4J_CMAKE_DIR}/CheckJniLibrary.cmake")

# Looked at in every build, so that a folder that was emptied is filled again.
if(DOLLY4J_INSTALL_DIR)
  add_custom_target(install_libraries
    COMMAND ${CMAKE_COMMAND} -E make_directory "${DOLLY4J_INSTALL_DIR}"
    COMMAND ${CMAKE_COMMAND} -E copy_if_different "$<TARGET_FILE:dolly4j>" "$<TARGET_FILE:jnidolly4j>"
      "${DOLLY4J_INSTALL_DIR}"
    VERBATIM)
  add_dependencies(install_libraries dolly4j jnidolly4j)
endif()
