#include "model/tensor_source.h"

#include <algorithm>
#include <stdexcept>

namespace pyengine {
namespace {

template <class Shape>
std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace

void NamedTensors::add(const std::string& name, Read read) { entries_[name] = {std::move(read), false}; }

bool NamedTensors::has(const std::string& name) const { return entries_.count(name) != 0; }

TensorView TensorSource::take(const std::string& name, Shape shape) {
  TensorView tensor = take_weight(name, shape);
  if (tensor.data == nullptr) {
    throw std::invalid_argument("tensor " + name + " is int8, expected float32");
  }
  return tensor;
}

TensorView NamedTensors::take_weight(const std::string& name, Shape shape) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw std::invalid_argument("tensor " + name + " is missing, expected shape " + to_string(shape));
  }
  TensorView tensor = found->second.read();
  if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end())) {
    throw std::invalid_argument("tensor " + name + " has shape " + to_string(tensor.shape) + ", expected " +
                                to_string(shape));
  }
  found->second.taken = true;
  return tensor;
}

void NamedTensors::check_all_taken() const {
  std::vector<std::string> unused;
  for (const auto& [name, entry] : entries_) {
    if (!entry.taken) unused.push_back(name);
  }
  if (unused.empty()) return;
  std::string text = "tensors that the architecture has no place for:";
  for (const std::string& name : unused) text += " " + name;
  throw std::invalid_argument(text);
}

int total_features(const std::vector<Projection>& parts) {
  int sum = 0;
  for (const Projection& part : parts) sum += part.out_features;
  return sum;
}

void take_vectors(TensorSource& tensors, const std::vector<Projection>& parts, const std::string& suffix,
                  float* target) {
  std::fill_n(target, total_features(parts), 0.0f);
  for (const Projection& part : parts) {
    if (tensors.has(part.name + suffix)) {
      const TensorView vector = tensors.take(part.name + suffix, {part.out_features});
      for (int n = 0; n < part.out_features; ++n) target[n] = vector.data[n * vector.strides[0]];
    }
    target += part.out_features;
  }
}

}  // namespace pyengine
