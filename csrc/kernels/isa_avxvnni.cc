// The kernels compiled for avxvnni. Nothing but the table leaves this file: all else is in an unnamed
// namespace, so the linker can never choose this file's copy of a shared function for another.
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/tables.h"

namespace pyengine {
namespace avxvnni {
namespace {
// The vector and the dot product come first, the kernels are written in terms of them.
// clang-format off
#include "kernels/vec_avx2.h"
#include "kernels/dot_avxvnni.h"
#include "kernels/kernels-inl.h"
// clang-format on
}  // namespace
}  // namespace avxvnni

constinit const Kernels kAvxVnniKernels = avxvnni::make_table("avxvnni");

}  // namespace pyengine
