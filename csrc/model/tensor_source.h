// The tensors of a model by their canonical names, as the loader asks for them.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pyengine {

// A tensor of one or two dimensions with any strides (in entries): float32, or int8 if `data` is null, which
// only weights are that come with a scale and, unless it is 0, a zero point (a whole number, as float32) for
// each output channel.
struct TensorView {
  const float* data = nullptr;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
  std::shared_ptr<const void> owner;  // keeps the memory alive; null where something else does
  const std::int8_t* quantized = nullptr;
};

// Each tensor is read when it is taken, and let go with its last view: a model is packed in the memory of its
// largest tensor. Each is to be taken; what was never taken is an error, so that no weight is lost silently.
class TensorSource {
 public:
  using Read = std::function<TensorView()>;

  void add(const std::string& name, Read read);

  bool has(const std::string& name) const;

  // A float32 tensor. Throws std::invalid_argument naming the tensor, what it is and what was expected, and
  // whatever reading it throws.
  TensorView take(const std::string& name, std::initializer_list<std::int64_t> shape);

  // The same of a tensor that may be int8.
  TensorView take_weight(const std::string& name, std::initializer_list<std::int64_t> shape);

  // Throws std::invalid_argument naming the tensors that were added and never taken.
  void check_all_taken() const;

 private:
  struct Entry {
    Read read;
    bool taken = false;
  };
  std::map<std::string, Entry> entries_;
};

}  // namespace pyengine
