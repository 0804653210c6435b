# The libraries that bitdiff stands on. A package that is missing names the step that installs it.
# This file is also installed, for whoever links the static library links these too.

function(bitdiff_found name)
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "${name} is missing. scripts/setup.sh installs it.")
  endif()
endfunction()

find_package(LibTorch REQUIRED)
foreach(name PNG JPEG OpenSSL PkgConfig nlohmann_json CLI11 tomlplusplus)
  find_package(${name} QUIET)
  bitdiff_found(${name})
endforeach()
foreach(name libzip libarchive sentencepiece)
  pkg_check_modules(${name} QUIET IMPORTED_TARGET ${name})
  bitdiff_found(${name})
endforeach()
