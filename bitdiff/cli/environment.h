#pragma once

namespace bitdiff {

/// Starts the program anew with OMP_WAIT_POLICY=passive, unless the user has chosen a policy.
///
/// OpenMP threads that spin where they wait for each other make training several times slower as
/// soon as another process wants one of the cores. libgomp reads the policy when it is loaded,
/// which is before main: hence anew. Returns when there is nothing to do, or if it cannot be done.
void wait_patiently(char** argv);

}  // namespace bitdiff
