# Finds LibTorch 2.11's CPU libraries and makes the target LibTorch::LibTorch.
#
# Torch's own CMake package insists on a CUDA toolkit even for CPU use; this module does not. LibTorch is looked up in this
# order: the CMake or environment variable LIBTORCH (a folder with include/ and lib/), the torch package of the active
# Python, the pinned wheel that scripts/setup.sh unpacks into the cache folder.

include("${CMAKE_CURRENT_LIST_DIR}/LibTorchLookup.cmake")
include(FindPackageHandleStandardArgs)

set(LIBTORCH "$ENV{LIBTORCH}" CACHE PATH "Folder of LibTorch (has include/ and lib/); empty: look for it")
libtorch_lookup(LibTorch_FOLDER _tried ${LIBTORCH})

find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_FOLDER
  REASON_FAILURE_MESSAGE "No usable LibTorch 2.11. Looked at:${_tried}\nRun scripts/setup.sh, which fetches it, or set LIBTORCH to a folder that has it.\n")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE
    "${LibTorch_FOLDER}/include" "${LibTorch_FOLDER}/include/torch/csrc/api/include")
  target_link_libraries(LibTorch::LibTorch INTERFACE
    "${LibTorch_FOLDER}/lib/libtorch_cpu.so" "${LibTorch_FOLDER}/lib/libc10.so")
  # The wheel's libtorch_cpu.so finds CUDA's small run-time libraries by its own RPATH; the linker does not look there.
  target_link_options(LibTorch::LibTorch INTERFACE "LINKER:--allow-shlib-undefined")
endif()
