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

# Several processes talk through MPI. It is optional: one process needs none.
set(BITDIFF_MPI AUTO CACHE STRING "Build with MPI: AUTO (where it is installed), ON or OFF")
set(BITDIFF_HAS_MPI OFF)
if(BITDIFF_MPI)
  set(MPI_CXX_SKIP_MPICXX ON)  # Its C++ functions, which MPI has given up.
  find_package(MPI QUIET COMPONENTS CXX)
  if(MPI_CXX_FOUND)
    set(BITDIFF_HAS_MPI ON)
  elseif(NOT BITDIFF_MPI STREQUAL AUTO)
    bitdiff_found(MPI)
  endif()
endif()
