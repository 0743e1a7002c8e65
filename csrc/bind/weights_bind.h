#pragma once

#include <pybind11/pybind11.h>

#include "model/weights.h"

namespace pyengine {

// The Python class Weights: packed weights and the configuration that they are for.
struct PackedWeights {
  ModelConfig config;
  Weights weights;
};

// Adds ModelConfig and Weights to the extension.
void bind_weights(pybind11::module_& m);

}  // namespace pyengine
