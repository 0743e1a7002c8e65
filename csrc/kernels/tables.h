// The kernel tables that exist, each defined by its isa_*.cc. Only cpu/isa.cc chooses among them.
#pragma once

#include "kernels/kernels.h"

namespace pyengine {

extern const Kernels kScalarKernels;
extern const Kernels kAvx2Kernels;    // built where PYENGINE_HAVE_AVX2 is defined
extern const Kernels kAvx512Kernels;  // built where PYENGINE_HAVE_AVX512 is defined

}  // namespace pyengine
