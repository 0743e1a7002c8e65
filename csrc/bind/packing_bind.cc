// Packing of weights, and the choice of some of their columns, for the tests of the kernels.
#include <pybind11/pybind11.h>

#include <vector>

#include "base/float_environment.h"
#include "bind/kernel_arrays.h"
#include "bind/kernels_bind.h"
#include "kernels/bfloat16.h"
#include "kernels/kernels.h"
#include "kernels/pack.h"

namespace py = pybind11;

namespace pyengine {
namespace {

// A float32 [depth, columns] matrix with any strides, these in floats.
struct Matrix {
  const float* data;
  std::int64_t stride_k, stride_n, depth, columns;

  explicit Matrix(const py::array_t<float>& weight) {
    require(weight.ndim() == 2, "weight must be [depth, columns]");
    constexpr std::int64_t kSize = sizeof(float);
    data = weight.data();
    stride_k = weight.strides(0) / kSize, stride_n = weight.strides(1) / kSize;
    depth = weight.shape(0), columns = weight.shape(1);
  }

  std::int64_t panels() const { return packed_size(1, columns) / kPanelWidth; }
  std::int64_t groups() const { return (depth + kDepthGroup - 1) / kDepthGroup; }
};

// weight [depth, columns] -> [panels, depth, kPanelWidth]
Floats pack_weight(const py::array_t<float>& weight) {
  const Matrix w(weight);
  Floats panels({w.panels(), w.depth, std::int64_t{kPanelWidth}});
  pack(w.data, w.stride_k, w.stride_n, w.depth, w.columns, panels.mutable_data());
  return panels;
}

// The same, as the bits of bfloat16.
Halves pack_bf16_weight(const py::array_t<float>& weight) {
  const Matrix w(weight);
  Halves panels({w.panels(), w.depth, std::int64_t{kPanelWidth}});
  pack_bf16(w.data, w.stride_k, w.stride_n, w.depth, w.columns,
            reinterpret_cast<Bfloat16*>(panels.mutable_data()));
  return panels;
}

// weight [depth, columns] -> panels [panels, groups of depth, kPanelWidth, kDepthGroup], scales and column
// sums [columns]
py::tuple pack_s8_weight(const py::array_t<float>& weight) {
  const Matrix w(weight);
  Bytes panels({w.panels(), w.groups(), std::int64_t{kPanelWidth}, std::int64_t{kDepthGroup}});
  Floats scales(w.columns);
  Ints sums(w.columns);
  pack_s8(w.data, w.stride_k, w.stride_n, w.depth, w.columns, panels.mutable_data(), scales.mutable_data(),
          sums.mutable_data());
  const Ints zero_points(w.columns, std::vector<std::int32_t>(w.columns).data());
  return py::make_tuple(panels, scales, zero_points, sums);
}

// int8 weight [depth, columns] -> panels as pack_s8() gives them, and column sums [columns]
py::tuple arrange_s8_weight(const py::array_t<std::int8_t>& weight) {
  require(weight.ndim() == 2, "weight must be [depth, columns]");
  const std::int64_t depth = weight.shape(0), columns = weight.shape(1);
  Bytes panels({packed_size(1, columns) / kPanelWidth, (depth + kDepthGroup - 1) / kDepthGroup,
                std::int64_t{kPanelWidth}, std::int64_t{kDepthGroup}});
  Ints sums(columns);
  arrange_s8(weight.data(), weight.strides(0), weight.strides(1), depth, columns, panels.mutable_data(),
             sums.mutable_data());
  return py::make_tuple(panels, sums);
}

// panels as pack(), pack_bf16() or pack_s8() gives them -> those of some of their columns
template <class Stored, class Value>
py::array_t<Stored> gather_panels(const py::array_t<Stored, py::array::c_style>& panels, std::int64_t depth,
                                  const Ints& columns) {
  std::vector<py::ssize_t> shape(panels.shape(), panels.shape() + panels.ndim());
  for (py::ssize_t i = 0; i < columns.size(); ++i) {
    require(columns.data()[i] >= 0 && columns.data()[i] < shape[0] * kPanelWidth, "a column is not there");
  }
  shape[0] = packed_size(1, columns.size()) / kPanelWidth;
  py::array_t<Stored> gathered(shape);
  gather_columns(reinterpret_cast<const Value*>(panels.data()), depth, columns.data(), columns.size(),
                 reinterpret_cast<Value*>(gathered.mutable_data()));
  return gathered;
}

}  // namespace

void bind_packing(py::module_& kernels) {
  using py::arg;
  constexpr auto guard = py::call_guard<FloatEnvironment>();
  kernels.def("pack", &pack_weight, arg("weight"), guard);
  kernels.def("pack_bf16", &pack_bf16_weight, arg("weight"), guard);
  kernels.def("pack_s8", &pack_s8_weight, arg("weight"), guard);
  kernels.def("arrange_s8", &arrange_s8_weight, arg("weight"));
  kernels.def("gather_columns", &gather_panels<float, float>, arg("panels"), arg("depth"), arg("columns"));
  kernels.def("gather_columns", &gather_panels<std::uint16_t, Bfloat16>, arg("panels"), arg("depth"),
              arg("columns"));
}

}  // namespace pyengine
