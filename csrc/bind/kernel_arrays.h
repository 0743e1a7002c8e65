// The NumPy arrays that kernels are called with from Python.
#pragma once

#include <pybind11/numpy.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace pyengine {

using Floats = pybind11::array_t<float, pybind11::array::c_style | pybind11::array::forcecast>;
using Ints = pybind11::array_t<std::int32_t, pybind11::array::c_style | pybind11::array::forcecast>;
using Halves = pybind11::array_t<std::uint16_t, pybind11::array::c_style>;
using Bytes = pybind11::array_t<std::int8_t, pybind11::array::c_style>;
using UnsignedBytes = pybind11::array_t<std::uint8_t, pybind11::array::c_style>;

// Throws std::invalid_argument unless `condition` holds.
inline void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

}  // namespace pyengine
