// Weights as Python sees them: packed from arrays, or mapped from a buffer that holds them packed.
#include "bind/weights_bind.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "model/mapped_weights.h"
#include "model/shortlist.h"

namespace py = pybind11;

namespace pyengine {
namespace {

struct ActivationName {
  const char* name;
  Activation activation;
};
constexpr ActivationName kActivations[] = {
    {"relu", Activation::kRelu}, {"silu", Activation::kSilu}, {"gelu", Activation::kGelu}};

std::string activation_name(const ModelConfig& config) {
  for (const auto& [name, activation] : kActivations) {
    if (activation == config.activation) return name;
  }
  return "none";
}

void set_activation(ModelConfig& config, const std::string& wanted) {
  for (const auto& [name, activation] : kActivations) {
    if (name == wanted) {
      config.activation = activation;
      return;
    }
  }
  throw std::invalid_argument("activation is '" + wanted + "', expected relu, silu or gelu");
}

std::string decoder_kind_name(const ModelConfig& config) {
  return config.decoder_kind == DecoderKind::kSsru ? "ssru" : "self_attention";
}

void set_decoder_kind(ModelConfig& config, const std::string& wanted) {
  if (wanted != "ssru" && wanted != "self_attention") {
    throw std::invalid_argument("decoder_kind is '" + wanted + "', expected self_attention or ssru");
  }
  config.decoder_kind = wanted == "ssru" ? DecoderKind::kSsru : DecoderKind::kSelfAttention;
}

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
PackedWeights pack(const ModelConfig& config, const py::object& tensors, const std::string& compute_type) {
  const WeightType type = weight_type(compute_type);
  TensorSource source;
  for (const py::handle key : tensors) {
    const auto name = py::cast<std::string>(key);
    source.add(name, [&tensors, name] { return read_tensor(tensors, name); });
  }
  return {config, load_weights(config, type, source)};
}

PackedWeights map(const ModelConfig& config, const py::buffer& buffer,
                  const std::vector<std::uint64_t>& offsets, const std::string& compute_type) {
  py::buffer_info info = buffer.request();
  if (info.itemsize != 1 || info.ndim != 1 || info.strides[0] != 1) {
    throw std::invalid_argument("packed weights: not bytes one after another");
  }
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(info.ptr),
                                         static_cast<std::size_t>(info.size));
  return {config, map_weights(config, weight_type(compute_type), keep(std::move(info)), bytes, offsets)};
}

// Read-only views in the order of visit_arrays(), which keep `self`.
std::vector<py::array> arrays(const py::object& self) {
  std::vector<py::array> views;
  visit_arrays(py::cast<const PackedWeights&>(self).weights, [&](const auto& array) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(array.data());
    py::array_t<std::uint8_t> view(static_cast<py::ssize_t>(array.bytes()), data, self);
    view.attr("setflags")(py::arg("write") = false);
    views.push_back(std::move(view));
  });
  return views;
}

template <class T>
Array<T> as_array(const py::array_t<T, py::array::c_style>& values) {
  return Array<T>(keep(values), values.data(), static_cast<std::size_t>(values.size()));
}

// The arrays are not copied.
Shortlist make_shortlist(std::int32_t num_first,
                         const py::array_t<std::uint64_t, py::array::c_style>& offsets,
                         const py::array_t<std::uint32_t, py::array::c_style>& entries) {
  return {num_first, as_array(offsets), as_array(entries)};
}

void bind_config(py::module_& m) {
  py::class_<ModelConfig>(m, "ModelConfig")
      .def(py::init<>())
      .def_readwrite("hidden_size", &ModelConfig::hidden_size)
      .def_readwrite("vocab_size", &ModelConfig::vocab_size)
      .def_readwrite("source_vocab_size", &ModelConfig::source_vocab_size)
      .def_readwrite("max_positions", &ModelConfig::max_positions)
      .def_readwrite("encoder_layers", &ModelConfig::encoder_layers)
      .def_readwrite("decoder_layers", &ModelConfig::decoder_layers)
      .def_readwrite("encoder_num_heads", &ModelConfig::encoder_num_heads)
      .def_readwrite("decoder_num_heads", &ModelConfig::decoder_num_heads)
      .def_readwrite("encoder_ffn_dim", &ModelConfig::encoder_ffn_dim)
      .def_readwrite("decoder_ffn_dim", &ModelConfig::decoder_ffn_dim)
      .def_property("activation", &activation_name, &set_activation)
      .def_readwrite("normalize_before", &ModelConfig::normalize_before)
      .def_readwrite("embed_scale", &ModelConfig::embed_scale)
      .def_readwrite("layer_norm_eps", &ModelConfig::layer_norm_eps)
      .def_property("decoder_kind", &decoder_kind_name, &set_decoder_kind);
}

}  // namespace

void bind_weights(py::module_& m) {
  bind_config(m);
  m.attr("PACKED_LAYOUT") = kPackedLayout;
  py::class_<PackedWeights>(m, "Weights")
      .def_static("pack", &pack, py::arg("config"), py::arg("tensors"), py::arg("compute_type"))
      .def_static("map", &map, py::arg("config"), py::arg("buffer"), py::arg("offsets"),
                  py::arg("compute_type"))
      .def("arrays", &arrays);
  py::class_<Shortlist>(m, "Shortlist")
      .def(py::init(&make_shortlist), py::arg("num_first"), py::arg("offsets"), py::arg("entries"));
}

}  // namespace pyengine
