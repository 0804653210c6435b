# cmake -D PROGRAM=FILE -D OUT=FILE -P HelpText.cmake: writes what PROGRAM --help says as a C++ header.

execute_process(COMMAND "${PROGRAM}" --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
file(WRITE "${OUT}"
  "#pragma once\nnamespace bitdiff {\ninline constexpr char kHelp[] = R\"help(${help})help\";\n}\n")
