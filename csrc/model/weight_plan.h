// What a model of a configuration holds, and in which order. One plan, by which weights are packed from
// tensors (packing.h) and found again in packed files (mapped_weights.h).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "model/tensor_source.h"
#include "model/weights.h"

namespace pyengine {

// Where the arrays of a model come from. Every array of Weights is asked for here and noted, so that none can
// be missing in a packed file.
class WeightSource {
 public:
  // Computes an array from the tensors that it is made of.
  using Fill = FunctionRef<void(TensorSource& tensors, float* values)>;

  WeightSource() = default;
  WeightSource(const WeightSource&) = delete;
  WeightSource& operator=(const WeightSource&) = delete;
  virtual ~WeightSource() = default;

  // [size]
  Array<float> floats(std::size_t size, const Fill& fill) { return noted(make_floats(size, fill)); }

  // One product for several projections of the same input, [depth, sum of out_features], in their order. In
  // some models they are one tensor already, which is called `joined`.
  Linear linear(const std::vector<Projection>& parts, int depth, const std::string& joined = {});

  // Their biases one after another, [sum of out_features]; zeros where the model has none.
  Array<float> biases(const std::vector<Projection>& parts);

  // A token table or the output projection, [depth, columns.out_features], held once where the model ties
  // them. `by_token`: the tensor has a row for each column.
  Panels vocabulary(const Projection& columns, int depth, bool by_token) {
    return noted(make_vocabulary(columns, depth, by_token));
  }

  // After the last of these.
  virtual void end_vocabularies() {}

  // See candidate_table_size().
  Array<std::int8_t> candidate_table(const Linear& lm_head) { return noted(make_candidate_table(lm_head)); }

  // All that was asked for, in that order.
  const std::vector<Array<std::byte>>& arrays() const { return arrays_; }

 protected:
  virtual bool has(const std::string& tensor) const = 0;
  virtual Array<float> make_floats(std::size_t size, const Fill& fill) = 0;
  virtual Panels make_panels(const std::vector<Projection>& parts, int depth) = 0;
  virtual Panels make_vocabulary(const Projection& columns, int depth, bool by_token) = 0;
  virtual Array<std::int8_t> make_candidate_table(const Linear& lm_head) = 0;

 private:
  template <class T>
  Array<T> noted(Array<T> array) {
    arrays_.push_back(array.as_bytes());
    return array;
  }
  Panels noted(Panels panels) {
    visit_arrays(panels, [this](const auto& array) { noted(array); });
    return panels;
  }

  std::vector<Array<std::byte>> arrays_;
};

// The weights of a model, from `source`. `candidate_table`: with that of an int8 output projection. Throws
// std::invalid_argument if `config` is not sound, and what the source throws.
Weights plan_weights(const ModelConfig& config, WeightSource& source, bool candidate_table);

}  // namespace pyengine
