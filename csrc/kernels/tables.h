// The kernel tables that exist, each defined by its isa_*.cc. Only cpu/isa.cc chooses among them.
#pragma once

#include "kernels/kernels.h"

namespace pyengine {

extern const Kernels kScalarKernels;
// Each built where PYENGINE_HAVE_ and its name are defined:
extern const Kernels kAvx2Kernels;
extern const Kernels kAvxVnniKernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512VnniKernels;

}  // namespace pyengine
