# The programs allocate through jemalloc. A training step allocates and frees hundreds of large tensors of many sizes, which
# glibc either gives back to the system each time, to be cleared anew, or scatters over half as much memory again.

option(BITDIFF_JEMALLOC "Programs allocate through jemalloc (OFF for sanitizers, which bring their own)" ON)

add_library(bitdiff_allocator INTERFACE)
if(BITDIFF_JEMALLOC)
  pkg_check_modules(jemalloc QUIET IMPORTED_TARGET jemalloc)
  bitdiff_found(jemalloc)
  # Nothing calls it by name.
  target_link_libraries(bitdiff_allocator INTERFACE -Wl,--no-as-needed PkgConfig::jemalloc)
endif()
