#pragma once

#include <pybind11/pybind11.h>

namespace pyengine {

// Adds the submodule `kernels` to the extension.
void bind_kernels(pybind11::module_& m);

// Adds to that submodule how weights are packed.
void bind_packing(pybind11::module_& kernels);

}  // namespace pyengine
