// The kernels compiled for scalar. Nothing but the table leaves this file: all else is in an unnamed
// namespace, so the linker can never choose this file's copy of a shared function for another.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/tables.h"

namespace pyengine {
namespace scalar {
namespace {
// The vector and the dot product come first, the kernels are written in terms of them.
// clang-format off
#include "kernels/vec_scalar.h"
#include "kernels/dot_scalar.h"
#include "kernels/kernels-inl.h"
// clang-format on
}  // namespace
}  // namespace scalar

constinit const Kernels kScalarKernels = scalar::make_table("scalar");

}  // namespace pyengine
