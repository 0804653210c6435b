#pragma once

#include <c10/util/intrusive_ptr.h>

#include "bitdiff/dist/group.h"
#include "bitdiff/dist/launch.h"

namespace c10d {
class Store;
}  // namespace c10d

namespace bitdiff {

/// The place where processes that torchrun started leave each other notes: its own at MASTER_ADDR,
/// MASTER_PORT, or one of the first process where it says so (TORCHELASTIC_USE_AGENT_STORE). Throws
/// DistributedError.
c10::intrusive_ptr<c10d::Store> store_of_torchrun(const Launch& launch);

/// One for the processes of `group`, kept by the first. It is reached from this machine alone where
/// all of them are on it; from others at MASTER_ADDR, or the machine's name where that is not set.
/// Throws DistributedError.
c10::intrusive_ptr<c10d::Store> store_beside(Group& group);

}  // namespace bitdiff
