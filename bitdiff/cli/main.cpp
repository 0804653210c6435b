// The program proper. What people start is launcher.cpp, which starts this.

#include "bitdiff/cli/run.h"

int main(int argc, char** argv) { return bitdiff::run(argc, argv); }
