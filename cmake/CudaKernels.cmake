# libbitdiff_cuda.so: loops of our own on NVIDIA GPUs, built where nvcc 11.8 or newer is found. The program opens it by name when
# it computes on a GPU, so nothing links to it, and it takes no CUDA of LibTorch to build.

option(BITDIFF_CUDA "Build the CUDA kernels, where nvcc is found" ON)
set(BITDIFF_HAS_CUDA_KERNELS OFF)
if(BITDIFF_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    # Older ones do not know the GPUs named below; clang knows other options.
    if(CMAKE_CUDA_COMPILER_ID STREQUAL NVIDIA AND CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 11.8)
      set(BITDIFF_HAS_CUDA_KERNELS ON)
    endif()
  endif()
endif()
if(NOT BITDIFF_HAS_CUDA_KERNELS)
  message(STATUS "CUDA kernels: not built (they take nvcc 11.8 or newer); a GPU uses LibTorch's operations and the CPU's random numbers")
  return()
endif()

set(folder "${PROJECT_SOURCE_DIR}/bitdiff/cuda")
add_library(bitdiff_cuda SHARED "${folder}/entry.cu" "${folder}/group_norm.cu" "${folder}/layer_norm.cu"
                                "${folder}/random.cu")
target_include_directories(bitdiff_cuda PRIVATE "${PROJECT_SOURCE_DIR}")
target_compile_options(bitdiff_cuda PRIVATE -Werror=all-warnings -Xcompiler=-Wall,-Wextra)
set_target_properties(bitdiff_cuda PROPERTIES
  CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_ARCHITECTURES "80-real;90" CUDA_RUNTIME_LIBRARY Static)
# Where what is built here finds it.
list(APPEND CMAKE_BUILD_RPATH "$<TARGET_FILE_DIR:bitdiff_cuda>")
