# libbitdiff_nccl.so: c10d's NCCL for several processes on GPUs, built where LibTorch has CUDA and nvcc's toolkit and nccl.h are
# found. The program opens it by name when it needs it, so that nothing else links to LibTorch's CUDA libraries.

set(BITDIFF_HAS_NCCL OFF)
if(BITDIFF_HAS_CUDA_KERNELS)
  find_package(CUDAToolkit QUIET)
  find_path(NCCL_INCLUDE_DIR nccl.h
    HINTS ${CUDAToolkit_INCLUDE_DIRS} "${LibTorch_FOLDER}/../nvidia/nccl/include")
  find_library(LIBTORCH_CUDA torch_cuda HINTS "${LibTorch_FOLDER}/lib" NO_DEFAULT_PATH)
  find_library(LIBTORCH_C10_CUDA c10_cuda HINTS "${LibTorch_FOLDER}/lib" NO_DEFAULT_PATH)
  if(CUDAToolkit_FOUND AND NCCL_INCLUDE_DIR AND LIBTORCH_CUDA AND LIBTORCH_C10_CUDA)
    set(BITDIFF_HAS_NCCL ON)
  endif()
endif()
if(NOT BITDIFF_HAS_NCCL)
  message(STATUS "NCCL: not built (it takes the CUDA toolkit, nccl.h and a LibTorch with CUDA); several processes compute on CPUs")
  return()
endif()

add_library(bitdiff_nccl SHARED "${PROJECT_SOURCE_DIR}/bitdiff/dist/nccl_backend.cpp")
target_include_directories(bitdiff_nccl PRIVATE "${PROJECT_SOURCE_DIR}")
target_include_directories(bitdiff_nccl SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} "${NCCL_INCLUDE_DIR}")
target_compile_definitions(bitdiff_nccl PRIVATE USE_C10D_NCCL)
target_link_libraries(bitdiff_nccl PRIVATE bitdiff_options LibTorch::LibTorch "${LIBTORCH_CUDA}" "${LIBTORCH_C10_CUDA}")
list(APPEND CMAKE_BUILD_RPATH "$<TARGET_FILE_DIR:bitdiff_nccl>")
