#pragma once

#include <pybind11/pybind11.h>

namespace pyengine {

// Adds the submodule `kernels` to the extension.
void bind_kernels(pybind11::module_& m);

}  // namespace pyengine
