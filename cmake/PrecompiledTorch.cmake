# bitdiff_precompiled_torch(TARGET): the target's sources start with LibTorch's headers parsed, which saves each 4 s of 6.
#
# Sources include what they use all the same: the linter parses them without this, and so does a build with
# CMAKE_DISABLE_PRECOMPILE_HEADERS=ON. The headers are parsed once, in a target of their own, for the compiler takes them only
# where every macro that they were parsed with is defined.

file(CONFIGURE OUTPUT precompiled_torch.cpp CONTENT "")
add_library(bitdiff_torch OBJECT EXCLUDE_FROM_ALL "${CMAKE_CURRENT_BINARY_DIR}/precompiled_torch.cpp")
target_link_libraries(bitdiff_torch PRIVATE LibTorch::LibTorch bitdiff_options)
target_compile_options(bitdiff_torch PRIVATE -fopenmp)
target_precompile_headers(bitdiff_torch PRIVATE <ATen/ATen.h>)

function(bitdiff_precompiled_torch target)
  target_precompile_headers(${target} REUSE_FROM bitdiff_torch)
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)  # ccache asks for it.
endfunction()
