// The tensors of a model by their canonical names, as the loader hands them over.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <unordered_map>
#include <vector>

namespace pyengine {

// A tensor of one or two dimensions in somebody else's memory, with any strides (in entries): float32, or
// int8 if `data` is null, which only weights are that come with a scale for each output channel.
struct TensorView {
  const float* data = nullptr;
  const std::int8_t* quantized = nullptr;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
};

// Each tensor is to be taken; what was never taken is an error, so that no weight is lost silently.
class TensorSource {
 public:
  void add(const std::string& name, TensorView tensor);

  bool has(const std::string& name) const;

  // A float32 tensor. Throws std::invalid_argument naming the tensor, what it is and what was expected.
  const TensorView& take(const std::string& name, std::initializer_list<std::int64_t> shape);

  // The same of a tensor that may be int8.
  const TensorView& take_weight(const std::string& name, std::initializer_list<std::int64_t> shape);

  // Throws std::invalid_argument naming the tensors that were added and never taken.
  void check_all_taken() const;

 private:
  struct Entry {
    TensorView tensor;
    bool taken = false;
  };
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace pyengine
