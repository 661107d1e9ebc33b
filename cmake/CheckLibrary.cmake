# Test script: LIBRARY exports only d4j_*, needs only the C library, and stays loaded. READELF is binutils' readelf.

execute_process(COMMAND "${READELF}" --wide --dyn-syms "${LIBRARY}" OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "(GLOBAL|WEAK|UNIQUE) +(DEFAULT|PROTECTED) +[0-9]+ [^\n]+" exported "${symbols}")
list(FILTER exported EXCLUDE REGEX " d4j_[a-z0-9_]+$")
if(exported)
  list(JOIN exported "\n  " lines)
  message(FATAL_ERROR "${LIBRARY} exports symbols that are not d4j_*:\n  ${lines}")
endif()

execute_process(COMMAND "${READELF}" --wide --dynamic "${LIBRARY}" OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\\(NEEDED\\)[^\n]+" needed "${dynamic}")
list(FILTER needed EXCLUDE REGEX "\\[(libc|libm|libdl|libpthread|ld-linux-[a-z0-9-]+)\\.so\\.[0-9]+\\]")
if(needed)
  list(JOIN needed "\n  " lines)
  message(FATAL_ERROR "${LIBRARY} needs more than the C library:\n  ${lines}")
endif()

if(NOT dynamic MATCHES "\\(FLAGS_1\\)[^\n]*NODELETE")
  message(FATAL_ERROR "${LIBRARY} can be unloaded while its threads run: it is not linked with -z nodelete.")
endif()
