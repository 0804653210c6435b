#pragma once

namespace bitdiff {

/// Starts the program anew with the environment that training and sampling run best in; what the
/// user has set is left alone.
///
/// - OMP_WAIT_POLICY=passive: OpenMP threads that spin where they wait for each other make training
///   several times slower as soon as another process wants one of the cores.
/// - GLIBC_TUNABLES: large tensors in huge pages, and freed memory is kept, for else the system
///   hands out and clears the same pages at every step.
///
/// Both are read before main begins: hence anew. Returns when there is nothing to do, or if it
/// cannot be done.
void prepare_environment(char** argv);

}  // namespace bitdiff
