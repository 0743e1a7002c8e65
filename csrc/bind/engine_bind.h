#pragma once

#include <pybind11/pybind11.h>

namespace pyengine {

// Adds EarlyStopping, GenerationOptions and Engine to the extension.
void bind_engine(pybind11::module_& m);

}  // namespace pyengine
