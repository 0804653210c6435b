#include "bitdiff/cli/run.h"

int main(int argc, char** argv) { return bitdiff::run(argc, argv); }
