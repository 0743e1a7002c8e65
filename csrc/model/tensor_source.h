// The tensors of a model by their canonical names, as packing asks for them.
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

// Copies a matrix, whose values begin at `data`, into rows that lie target_stride apart.
template <class T>
void copy_rows(const TensorView& matrix, const T* data, T* target, std::int64_t target_stride) {
  for (std::int64_t row = 0; row < matrix.shape[0]; ++row) {
    const T* source = data + row * matrix.strides[0];
    for (std::int64_t i = 0; i < matrix.shape[1]; ++i) {
      target[row * target_stride + i] = source[i * matrix.strides[1]];
    }
  }
}

// The tensors of one model.
class TensorSource {
 public:
  using Shape = std::initializer_list<std::int64_t>;

  TensorSource() = default;
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;
  virtual ~TensorSource() = default;

  virtual bool has(const std::string& name) const = 0;

  // A float32 or int8 tensor. Throws std::invalid_argument naming the tensor, what it is and what was
  // expected, and whatever reading it throws.
  virtual TensorView take_weight(const std::string& name, Shape shape) = 0;

  // A float32 tensor; throws as take_weight() does.
  TensorView take(const std::string& name, Shape shape);
};

// Each tensor is read when it is taken, and let go with its last view: a model is packed in the memory of its
// largest tensor. Each is to be taken; what was never taken is an error, so that no weight is lost silently.
class NamedTensors : public TensorSource {
 public:
  using Read = std::function<TensorView()>;

  void add(const std::string& name, Read read);

  bool has(const std::string& name) const override;
  TensorView take_weight(const std::string& name, Shape shape) override;

  // Throws std::invalid_argument naming the tensors that were added and never taken.
  void check_all_taken() const;

 private:
  struct Entry {
    Read read;
    bool taken = false;
  };
  std::map<std::string, Entry> entries_;
};

// A projection: its canonical name and its outputs.
struct Projection {
  std::string name;
  int out_features;
};

int total_features(const std::vector<Projection>& parts);

// The vectors name + suffix of all parts one after another in `target` [sum of out_features], zeros where
// there is none.
void take_vectors(TensorSource& tensors, const std::vector<Projection>& parts, const std::string& suffix,
                  float* target);

}  // namespace pyengine
