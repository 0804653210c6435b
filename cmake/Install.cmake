# Installs the program, the library and its headers, and a CMake package: find_package(bitdiff), bitdiff::bitdiff.

include(CMakePackageConfigHelpers)

set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/bitdiff")

# The installed program finds LibTorch where the built one did (INSTALL_RPATH_USE_LINK_PATH).
install(TARGETS bitdiff_program)
install(TARGETS bitdiff_proper DESTINATION libexec)
install(TARGETS bitdiff EXPORT bitdiff)
if(BITDIFF_HAS_CUDA_KERNELS)
  install(TARGETS bitdiff_cuda)
endif()
if(BITDIFF_HAS_CUDA_GRAPHS)
  install(TARGETS bitdiff_graphs)
endif()
if(BITDIFF_HAS_NCCL)
  install(TARGETS bitdiff_nccl)
endif()
install(DIRECTORY bitdiff DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")

install(EXPORT bitdiff NAMESPACE bitdiff:: DESTINATION "${package_folder}" FILE bitdiffTargets.cmake)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/bitdiffConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/bitdiffConfigVersion.cmake"
  cmake/bitdiffConfig.cmake cmake/Dependencies.cmake cmake/FindLibTorch.cmake cmake/LibTorchLookup.cmake
  DESTINATION "${package_folder}")
