# find_package(bitdiff) gives bitdiff::bitdiff: the static library with the libraries that it stands on.

list(PREPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}")
include("${CMAKE_CURRENT_LIST_DIR}/Dependencies.cmake")
list(POP_FRONT CMAKE_MODULE_PATH)
include("${CMAKE_CURRENT_LIST_DIR}/bitdiffTargets.cmake")
