# Test script: LIBRARY exports only what the JVM looks up. READELF is binutils' readelf.

execute_process(COMMAND "${READELF}" --wide --dyn-syms "${LIBRARY}" OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "(GLOBAL|WEAK|UNIQUE) +(DEFAULT|PROTECTED) +[0-9]+ [^\n]+" exported "${symbols}")
list(FILTER exported EXCLUDE REGEX " (Java_|JNI_On)[A-Za-z0-9_]+$")
if(exported)
  list(JOIN exported "\n  " lines)
  message(FATAL_ERROR "${LIBRARY} exports symbols that the JVM does not look up:\n  ${lines}")
endif()
