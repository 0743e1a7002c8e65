// The kernels compiled for avx512vnni. Nothing but the table leaves this file: all else is in an unnamed
// namespace, so the linker can never choose this file's copy of a shared function for another.
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/tables.h"

namespace pyengine {
namespace avx512vnni {
namespace {
// The vector and the dot product come first, the kernels are written in terms of them.
// clang-format off
#include "kernels/vec_avx512.h"
#include "kernels/dot_avx512vnni.h"
#include "kernels/kernels-inl.h"
// clang-format on
}  // namespace
}  // namespace avx512vnni

constinit const Kernels kAvx512VnniKernels = avx512vnni::make_table("avx512vnni");

}  // namespace pyengine
