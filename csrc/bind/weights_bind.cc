// Weights as Python sees them: packed from arrays, or mapped from a buffer that holds them packed.
#include "bind/weights_bind.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/float_environment.h"
#include "bind/fields_bind.h"
#include "bind/without_gil.h"
#include "model/mapped_weights.h"
#include "model/packing.h"
#include "model/shortlist.h"

namespace py = pybind11;

namespace pyengine {
namespace {

WeightType weight_type(const std::string& name) {
  if (name == "float32") return WeightType::kFloat32;
  if (name == "bfloat16") return WeightType::kBfloat16;
  if (name == "int8") return WeightType::kInt8;
  throw std::invalid_argument("compute_type is '" + name + "', expected float32, bfloat16 or int8");
}

// Keeps a Python object, or what holds one, for the memory that C++ looks at. It is let go where the
// interpreter's lock is held: while packing, or with the last Weights or Engine.
template <class T>
std::shared_ptr<const void> keep(T object) {
  return std::make_shared<const T>(std::move(object));
}

TensorView read_tensor(const py::object& tensors, const std::string& name) {
  const py::object value = tensors[py::str(name)];
  const bool is_float = py::isinstance<py::array_t<float>>(value);
  if (!is_float && !py::isinstance<py::array_t<std::int8_t>>(value)) {
    throw std::invalid_argument("tensor " + name + " is not a float32 or int8 array");
  }
  const auto array = py::reinterpret_borrow<py::array>(value);
  TensorView view;
  if (is_float) view.data = static_cast<const float*>(array.data());
  if (!is_float) view.quantized = static_cast<const std::int8_t*>(array.data());
  for (py::ssize_t axis = 0; axis < array.ndim(); ++axis) {
    view.shape.push_back(array.shape(axis));
    view.strides.push_back(array.strides(axis) / array.itemsize());
  }
  view.owner = keep(array);
  return view;
}

// Holds the interpreter's lock, which the reading of each tensor gives up: 0.1 s for the largest at most.
PackedWeights pack(const ModelConfig& config, const py::object& tensors, const std::string& compute_type,
                   bool candidate_table) {
  const WeightType type = weight_type(compute_type);
  NamedTensors source;
  for (const py::handle key : tensors) {
    const auto name = py::cast<std::string>(key);
    source.add(name, [&tensors, name] { return read_tensor(tensors, name); });
  }
  return {config, load_weights(config, type, source, candidate_table)};
}

// What a buffer of bytes one after another holds.
std::span<const std::byte> bytes_of(const py::buffer_info& info) {
  if (info.itemsize != 1 || info.ndim != 1 || info.strides[0] != 1) {
    throw std::invalid_argument("packed weights: not bytes one after another");
  }
  return {static_cast<const std::byte*>(info.ptr), static_cast<std::size_t>(info.size)};
}

// -> [number of sections], see crc32c_of_sections().
py::array_t<std::uint32_t> checksums(const py::buffer& buffer, std::size_t section_bytes, int num_threads) {
  const py::buffer_info info = buffer.request();
  const std::span<const std::byte> bytes = bytes_of(info);
  if (section_bytes == 0) throw std::invalid_argument("section_bytes is 0, expected a positive number");
  const std::size_t num_sections = (bytes.size() + section_bytes - 1) / section_bytes;
  py::array_t<std::uint32_t> found(static_cast<py::ssize_t>(num_sections));
  const std::span<std::uint32_t> sums(found.mutable_data(), num_sections);
  without_gil([&] { crc32c_of_sections(bytes, section_bytes, num_threads, sums); });
  return found;
}

PackedWeights map(const ModelConfig& config, const py::buffer& buffer,
                  const std::vector<std::uint64_t>& offsets, const std::string& compute_type,
                  bool candidate_table) {
  py::buffer_info info = buffer.request();
  const std::span<const std::byte> bytes = bytes_of(info);
  return {config, map_weights(config, weight_type(compute_type), candidate_table, keep(std::move(info)),
                              bytes, offsets)};
}

// Read-only views in the order of packed files, which keep `self`.
std::vector<py::array> arrays(const py::object& self) {
  std::vector<py::array> views;
  for (const Array<std::byte>& array : py::cast<const PackedWeights&>(self).weights.arrays) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(array.data());
    py::array_t<std::uint8_t> view(static_cast<py::ssize_t>(array.bytes()), data, self);
    view.attr("setflags")(py::arg("write") = false);
    views.push_back(std::move(view));
  }
  return views;
}

template <class T>
Array<T> as_array(const py::array_t<T, py::array::c_style>& values) {
  return Array<T>(keep(values), values.data(), static_cast<std::size_t>(values.size()));
}

// The arrays are not copied.
Shortlist make_shortlist(std::int32_t num_first,
                         const py::array_t<std::uint64_t, py::array::c_style>& offsets,
                         const py::array_t<std::uint32_t, py::array::c_style>& entries,
                         bool shared_vocabulary) {
  return {num_first, as_array(offsets), as_array(entries), shared_vocabulary};
}

}  // namespace

void bind_weights(py::module_& m) {
  py::class_<ModelConfig> config(m, "ModelConfig");
  bind_fields(config);
  m.def(
      "packed_layout",
      [](const ModelConfig& config, const std::string& compute_type, bool candidate_table) {
        return packed_layout(config, weight_type(compute_type), candidate_table);
      },
      py::arg("config"), py::arg("compute_type"), py::arg("candidate_table") = false,
      py::call_guard<FloatEnvironment>());
  py::class_<PackedWeights>(m, "Weights")
      .def_static("pack", &pack, py::arg("config"), py::arg("tensors"), py::arg("compute_type"),
                  py::arg("candidate_table") = false, py::call_guard<FloatEnvironment>())
      .def_static("map", &map, py::arg("config"), py::arg("buffer"), py::arg("offsets"),
                  py::arg("compute_type"), py::arg("candidate_table") = false)
      .def("arrays", &arrays);
  m.def("checksums", &checksums, py::arg("buffer"), py::arg("section_bytes"), py::arg("num_threads"));
  py::class_<Shortlist>(m, "Shortlist")
      .def(py::init(&make_shortlist), py::arg("num_first"), py::arg("offsets"), py::arg("entries"),
           py::arg("shared_vocabulary") = false);
}

}  // namespace pyengine
