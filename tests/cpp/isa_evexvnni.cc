// The kernels of isa_avxvnni.cc with the EVEX encoding of vpdpbusd, which CPUs with AVX512-VNNI run.
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

namespace pyengine {
namespace evexvnni {
namespace {
// clang-format off
#include "kernels/vec_avx2.h"
#include "kernels/dot_avxvnni.h"
#include "kernels/kernels-inl.h"
// clang-format on
}  // namespace
}  // namespace evexvnni

extern const Kernels kEvexVnniKernels;
constinit const Kernels kEvexVnniKernels = evexvnni::make_table("evexvnni");

}  // namespace pyengine
