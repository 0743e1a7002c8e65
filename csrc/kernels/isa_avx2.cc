// The kernels compiled for avx2. Nothing but the table leaves this file: all else is in an unnamed
// namespace, so the linker can never choose this file's copy of a shared function for another.
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/tables.h"

namespace pyengine {
namespace avx2 {
namespace {
// The vector and the dot product come first, the kernels are written in terms of them.
// clang-format off
#include "kernels/vec_avx2.h"
#include "kernels/dot_avx2.h"
#include "kernels/kernels-inl.h"
// clang-format on
}  // namespace
}  // namespace avx2

constinit const Kernels kAvx2Kernels = avx2::make_table("avx2");

}  // namespace pyengine
