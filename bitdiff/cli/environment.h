#pragma once

namespace bitdiff {

/// Sets the environment that training and sampling run best in, for programs that are started from
/// here; what the user has set is left alone. Returns whether there was something to set.
///
/// - GOMP_SPINCOUNT=3000, unless there is an OMP_WAIT_POLICY: OpenMP threads that wait spin for a
///   fifth of a millisecond and then sleep. Those that spin for as long as GCC has it make training
///   several times slower as soon as another process wants one of the cores, and to be woken each
///   time costs up to a third of an idle machine's speed.
/// - MALLOC_CONF, of jemalloc: large tensors in huge pages, and freed memory is kept, for else the
///   system hands out and clears the same pages at every step.
///
/// Both are read before main begins: this program itself has them when it is started anew.
bool prepare_environment();

}  // namespace bitdiff
