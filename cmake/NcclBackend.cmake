# libbitdiff_nccl.so: c10d's NCCL for several processes on GPUs, built where LibTorch has CUDA and nvcc's toolkit and nccl.h are
# found. The program opens it by name when it needs it, so that nothing else links to LibTorch's CUDA libraries.

set(BITDIFF_HAS_NCCL OFF)
if(BITDIFF_HAS_CUDA_KERNELS)
  find_package(CUDAToolkit QUIET)
  # LibTorch's own nccl.h before others; when the library is opened it checks that they are of one version.
  find_path(NCCL_INCLUDE_DIR nccl.h NO_CACHE
    HINTS "${LibTorch_FOLDER}/../nvidia/nccl/include" ${CUDAToolkit_INCLUDE_DIRS})
  set(cuda_parts "${LibTorch_FOLDER}/lib/libtorch_cuda.so" "${LibTorch_FOLDER}/lib/libc10_cuda.so")
  list(GET cuda_parts 0 libtorch_cuda)
  if(CUDAToolkit_FOUND AND NCCL_INCLUDE_DIR AND EXISTS "${libtorch_cuda}" AND EXISTS "${LibTorch_FOLDER}/version.py")
    # LibTorch's headers are for the CUDA that it was built with.
    file(STRINGS "${LibTorch_FOLDER}/version.py" cuda_of_libtorch REGEX "^cuda.*= '${CUDAToolkit_VERSION_MAJOR}\\.")
    if(cuda_of_libtorch)
      set(BITDIFF_HAS_NCCL ON)
    endif()
  endif()
endif()
if(NOT BITDIFF_HAS_NCCL)
  message(STATUS "NCCL: not built (it takes a LibTorch with CUDA, a CUDA toolkit of its version and nccl.h); several processes compute on CPUs")
  return()
endif()

add_library(bitdiff_nccl SHARED "${PROJECT_SOURCE_DIR}/bitdiff/dist/nccl_backend.cpp")
target_include_directories(bitdiff_nccl PRIVATE "${PROJECT_SOURCE_DIR}")
target_include_directories(bitdiff_nccl SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} "${NCCL_INCLUDE_DIR}")
target_compile_definitions(bitdiff_nccl PRIVATE USE_C10D_NCCL)
target_link_libraries(bitdiff_nccl PRIVATE bitdiff_options LibTorch::LibTorch ${cuda_parts})
list(APPEND CMAKE_BUILD_RPATH "$<TARGET_FILE_DIR:bitdiff_nccl>")
