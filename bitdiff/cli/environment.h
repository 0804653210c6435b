#pragma once

namespace bitdiff {

/// Sets the environment that training and sampling run best in, for programs that are started from
/// here; what the user has set is left alone. Returns whether there was something to set.
///
/// - OMP_WAIT_POLICY=passive: OpenMP threads that spin where they wait for each other make training
///   several times slower as soon as another process wants one of the cores.
/// - MALLOC_CONF, of jemalloc: large tensors in huge pages, and freed memory is kept, for else the
///   system hands out and clears the same pages at every step.
///
/// Both are read before main begins: this program itself has them when it is started anew.
bool prepare_environment();

}  // namespace bitdiff
