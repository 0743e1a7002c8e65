// Which kernel table runs on this CPU. Names, best first: "avx512vnni", "avx512", "avxvnni",
// "avx2", "scalar".
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace pyengine {

// Names of the tables that were built and that this CPU and its operating system can run, best first.
std::vector<std::string> available_isas();

// The table called `name`; an empty name means the environment variable PYENGINE_ISA, or else the best.
// Throws std::invalid_argument naming what is possible if the name is unknown or cannot run here.
const Kernels& select_kernels(const std::string& name);

}  // namespace pyengine
