# What links to LibTorch's CUDA libraries, each a library of its own that the program opens by name when it needs it:
#   libbitdiff_graphs.so  CUDA graphs, built where LibTorch has CUDA and nvcc's toolkit is of its version
#   libbitdiff_nccl.so    c10d's NCCL for several processes on GPUs, where nccl.h is found too

set(BITDIFF_HAS_CUDA_GRAPHS OFF)
set(BITDIFF_HAS_NCCL OFF)
if(BITDIFF_HAS_CUDA_KERNELS)
  find_package(CUDAToolkit QUIET)
  # LibTorch's own nccl.h before others; when the library is opened it checks that they are of one version.
  find_path(NCCL_INCLUDE_DIR nccl.h NO_CACHE
    HINTS "${LibTorch_FOLDER}/../nvidia/nccl/include" ${CUDAToolkit_INCLUDE_DIRS})
  set(cuda_parts "${LibTorch_FOLDER}/lib/libtorch_cuda.so" "${LibTorch_FOLDER}/lib/libc10_cuda.so")
  list(GET cuda_parts 0 libtorch_cuda)
  if(CUDAToolkit_FOUND AND EXISTS "${libtorch_cuda}" AND EXISTS "${LibTorch_FOLDER}/version.py")
    # LibTorch's headers are for the CUDA that it was built with.
    file(STRINGS "${LibTorch_FOLDER}/version.py" cuda_of_libtorch REGEX "^cuda.*= '${CUDAToolkit_VERSION_MAJOR}\\.")
    if(cuda_of_libtorch)
      set(BITDIFF_HAS_CUDA_GRAPHS ON)
      if(NCCL_INCLUDE_DIR)
        set(BITDIFF_HAS_NCCL ON)
      endif()
    endif()
  endif()
endif()

# bitdiff_torch_cuda(TARGET source.cpp): such a library.
function(bitdiff_torch_cuda target)
  add_library(${target} SHARED ${ARGN})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(${target} PRIVATE bitdiff_options LibTorch::LibTorch ${cuda_parts})
endfunction()

if(BITDIFF_HAS_CUDA_GRAPHS)
  bitdiff_torch_cuda(bitdiff_graphs "${PROJECT_SOURCE_DIR}/bitdiff/cuda/graphs.cpp")
else()
  message(STATUS "CUDA graphs: not built (they take nvcc and a LibTorch with CUDA of its version)")
endif()
if(BITDIFF_HAS_NCCL)
  bitdiff_torch_cuda(bitdiff_nccl "${PROJECT_SOURCE_DIR}/bitdiff/dist/nccl_backend.cpp")
  target_include_directories(bitdiff_nccl SYSTEM PRIVATE "${NCCL_INCLUDE_DIR}")
  target_compile_definitions(bitdiff_nccl PRIVATE USE_C10D_NCCL)
else()
  message(STATUS "NCCL: not built (it takes nvcc, a LibTorch with CUDA of its version and nccl.h); several processes compute on CPUs")
endif()
