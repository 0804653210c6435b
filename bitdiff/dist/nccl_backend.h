#pragma once

#include <c10/util/intrusive_ptr.h>

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

/// The function of libbitdiff_nccl.so, which alone links to LibTorch's CUDA libraries; the program
/// opens it by name when several processes compute on GPUs.
namespace bitdiff::nccl {

/// Changes when Entry does.
inline constexpr const char* kEntry = "bitdiff_nccl_backend_2";
/// Makes the NCCL backend of process `rank` of `size`, which meet in `store`. Throws c10::Error.
using Entry = void (*)(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                       c10::intrusive_ptr<c10d::Backend>& backend);

}  // namespace bitdiff::nccl
