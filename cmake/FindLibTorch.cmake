# Finds LibTorch's CPU libraries and makes the target LibTorch::LibTorch.
#
# Torch's own package insists on a CUDA toolkit even for CPU use; this module does not. Looked up in this order: the CMake
# or environment variable LIBTORCH (a folder with include/ and lib/), the torch package of the active Python, the pinned
# wheel that scripts/setup.sh unpacked into the cache folder.

set(LIBTORCH "$ENV{LIBTORCH}" CACHE PATH "Folder of LibTorch (has include/ and lib/)")

set(_candidates)
if(LIBTORCH)
  set(_candidates "${LIBTORCH}")
else()
  execute_process(
    COMMAND python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE _python_torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(_cache "$ENV{XDG_CACHE_HOME}")
  else()
    set(_cache "$ENV{HOME}/.cache")
  endif()
  list(APPEND _candidates ${_python_torch} "${_cache}/bitdiff/libtorch-2.11.0/torch")
endif()

find_path(LibTorch_INCLUDE_DIR ATen/ATen.h PATHS ${_candidates} PATH_SUFFIXES include NO_DEFAULT_PATH NO_CACHE)
find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS ${_candidates} PATH_SUFFIXES lib NO_DEFAULT_PATH NO_CACHE)
find_library(LibTorch_C10_LIBRARY c10 PATHS ${_candidates} PATH_SUFFIXES lib NO_DEFAULT_PATH NO_CACHE)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "Run scripts/setup.sh, or set LIBTORCH to a folder with include/ and lib/.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE
    "${LibTorch_INCLUDE_DIR}" "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  get_filename_component(_libdir "${LibTorch_CPU_LIBRARY}" DIRECTORY)
  target_link_libraries(LibTorch::LibTorch INTERFACE "${LibTorch_CPU_LIBRARY}" "${LibTorch_C10_LIBRARY}")
  # libtorch_cpu of the wheel needs CUDA's small run-time libraries, which it finds by its own RPATH; the linker does not look there.
  target_link_options(LibTorch::LibTorch INTERFACE "LINKER:--allow-shlib-undefined" "LINKER:-rpath,${_libdir}")
endif()
