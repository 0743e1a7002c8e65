#include "model/packing.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/pack.h"
#include "model/shortlist.h"
#include "model/weight_plan.h"

namespace pyengine {
namespace {

TensorView transposed(TensorView matrix) {
  std::swap(matrix.shape[0], matrix.shape[1]);
  std::swap(matrix.strides[0], matrix.strides[1]);
  return matrix;
}

bool same_memory(const TensorView& a, const TensorView& b) {
  return a.data == b.data && a.quantized == b.quantized && a.shape == b.shape && a.strides == b.strides;
}

// What the integers of an int8 weight stand for, by column: scale * (value - zero point).
struct Steps {
  Array<float> scales;
  Array<std::int32_t> zero_points;
};

// Two tables of the same integers may differ in what these stand for.
bool has_steps(const Panels& panels, const Steps& steps) {
  const auto equal = [](const auto& a, const auto& b) {
    return std::equal(a.data(), a.data() + a.size(), b.data(), b.data() + b.size());
  };
  const auto& own = std::get<PanelsS8>(panels);
  return equal(own.scales, steps.scales) && equal(own.zero_points, steps.zero_points);
}

PanelsF32 pack_f32_panels(const TensorView& weight) {
  const std::int64_t depth = weight.shape[0], columns = weight.shape[1];
  AlignedBuffer<float> values(static_cast<std::size_t>(packed_size(depth, columns)));
  pack(weight.data, weight.strides[0], weight.strides[1], depth, columns, values.data());
  return {Array<float>(std::move(values))};
}

PanelsBf16 pack_bf16_panels(const TensorView& weight) {
  const std::int64_t depth = weight.shape[0], columns = weight.shape[1];
  AlignedBuffer<Bfloat16> values(static_cast<std::size_t>(packed_size(depth, columns)));
  pack_bf16(weight.data, weight.strides[0], weight.strides[1], depth, columns, values.data());
  return {Array<Bfloat16>(std::move(values))};
}

PanelsS8 pack_s8_panels(const TensorView& weight) {
  const std::int64_t depth = weight.shape[0], columns = weight.shape[1];
  AlignedBuffer<std::int8_t> values(static_cast<std::size_t>(packed_size_s8(depth, columns)));
  AlignedBuffer<float> scales(static_cast<std::size_t>(columns));
  AlignedBuffer<std::int32_t> zero_points(static_cast<std::size_t>(columns));
  AlignedBuffer<std::int32_t> column_sums(static_cast<std::size_t>(columns));
  std::fill_n(zero_points.data(), columns, 0);
  pack_s8(weight.data, weight.strides[0], weight.strides[1], depth, columns, values.data(), scales.data(),
          column_sums.data());
  return {Array<std::int8_t>(std::move(values)), Array<float>(std::move(scales)),
          Array<std::int32_t>(std::move(zero_points)), Array<std::int32_t>(std::move(column_sums))};
}

PanelsS8 arrange_s8_panels(const TensorView& weight, Steps steps) {
  const std::int64_t depth = weight.shape[0], columns = weight.shape[1];
  AlignedBuffer<std::int8_t> values(static_cast<std::size_t>(packed_size_s8(depth, columns)));
  AlignedBuffer<std::int32_t> column_sums(static_cast<std::size_t>(columns));
  arrange_s8(weight.quantized, weight.strides[0], weight.strides[1], depth, columns, values.data(),
             column_sums.data());
  return {Array<std::int8_t>(std::move(values)), std::move(steps.scales), std::move(steps.zero_points),
          Array<std::int32_t>(std::move(column_sums))};
}

// Packs a float32 weight [depth, columns].
Panels pack_panels(WeightType type, const TensorView& weight) {
  switch (type) {
    case WeightType::kInt8:
      return pack_s8_panels(weight);
    case WeightType::kBfloat16:
      return pack_bf16_panels(weight);
    case WeightType::kFloat32:
      return pack_f32_panels(weight);
  }
  throw std::logic_error("a type of weights that nothing packs");
}

// Packs each weight once it is asked for.
class Packer : public WeightSource {
 public:
  Packer(WeightType type, TensorSource& tensors) : type_(type), tensors_(tensors) {}

  // Lets go the memory that tied tables came from.
  void end_vocabularies() override { vocabularies_.clear(); }

 private:
  bool has(const std::string& tensor) const override { return tensors_.has(tensor); }

  Array<float> make_floats(std::size_t size, const Fill& fill) override {
    AlignedBuffer<float> values(size);
    fill(tensors_, values.data());
    return Array<float>(std::move(values));
  }

  Panels make_panels(const std::vector<Projection>& parts, int depth) override {
    TensorView weight = tensors_.take_weight(parts[0].name + ".weight", {depth, parts[0].out_features});
    AlignedBuffer<float> floats;
    AlignedBuffer<std::int8_t> integers;
    if (parts.size() > 1) {
      weight = weight.quantized ? joined(parts, depth, &TensorView::quantized, integers)
                                : joined(parts, depth, &TensorView::data, floats);
    }
    return panels(weight, parts);
  }

  Panels make_vocabulary(const Projection& columns, int depth, bool by_token) override {
    const int size = columns.out_features;
    const std::string name = columns.name + ".weight";
    const TensorView weight = by_token ? transposed(tensors_.take_weight(name, {size, depth}))
                                       : tensors_.take_weight(name, {depth, size});
    Steps own;
    if (weight.quantized != nullptr) own = steps({columns});
    for (const auto& [view, known] : vocabularies_) {
      if (same_memory(view, weight) && (weight.quantized == nullptr || has_steps(known, own))) return known;
    }
    vocabularies_.emplace_back(weight, panels(weight, {columns}));
    return vocabularies_.back().second;
  }

  Array<std::int8_t> make_candidate_table(const Linear& lm_head) override {
    return pyengine::make_candidate_table(lm_head);
  }

  // The weights of several projections side by side, [in, sum of outs], in `memory`; `data` is the member
  // that holds their values.
  template <class T>
  TensorView joined(const std::vector<Projection>& parts, std::int64_t depth, const T* TensorView::*data,
                    AlignedBuffer<T>& memory) {
    const std::int64_t columns = total_features(parts);
    memory = AlignedBuffer<T>(static_cast<std::size_t>(depth * columns));
    T* target = memory.data();
    for (const Projection& part : parts) {
      const TensorView weight = tensors_.take_weight(part.name + ".weight", {depth, part.out_features});
      if (weight.*data == nullptr) {
        throw std::invalid_argument("tensor " + part.name + ".weight is not of the type of " + parts[0].name +
                                    ".weight");
      }
      copy_rows(weight, weight.*data, target, columns);
      target += part.out_features;
    }
    TensorView view;
    view.*data = memory.data();
    view.shape = {depth, columns};
    view.strides = {columns, 1};
    return view;
  }

  // Packs a weight [depth, columns] whose columns are those of `parts`; what is int8 stays as it is.
  Panels panels(const TensorView& weight, const std::vector<Projection>& parts) {
    if (weight.quantized == nullptr) return pack_panels(type_, weight);
    if (type_ != WeightType::kInt8) {
      throw std::invalid_argument("tensor " + parts[0].name + ".weight is int8, expected float32");
    }
    return arrange_s8_panels(weight, steps(parts));
  }

  // What the columns of an int8 weight stand for, those of all parts one after another.
  Steps steps(const std::vector<Projection>& parts) {
    const AlignedBuffer<float> integers = vectors(parts, ".weight_zero_point");
    AlignedBuffer<std::int32_t> zero_points(integers.size());
    std::transform(integers.data(), integers.data() + integers.size(), zero_points.data(),
                   [](float value) { return static_cast<std::int32_t>(value); });
    return {Array<float>(vectors(parts, ".weight_scale")), Array<std::int32_t>(std::move(zero_points))};
  }

  AlignedBuffer<float> vectors(const std::vector<Projection>& parts, const char* suffix) {
    AlignedBuffer<float> values(static_cast<std::size_t>(total_features(parts)));
    take_vectors(tensors_, parts, suffix, values.data());
    return values;
  }

  WeightType type_;
  TensorSource& tensors_;
  // By where they came from. Keeps that memory, so that no other tensor can take its place.
  std::vector<std::pair<TensorView, Panels>> vocabularies_;
};

}  // namespace

Weights pack_weights(const ModelConfig& config, WeightType type, TensorSource& tensors,
                     bool candidate_table) {
  Packer packer(type, tensors);
  return plan_weights(config, packer, candidate_table);
}

Weights load_weights(const ModelConfig& config, WeightType type, NamedTensors& tensors,
                     bool candidate_table) {
  Weights weights = pack_weights(config, type, tensors, candidate_table);
  tensors.check_all_taken();
  return weights;
}

}  // namespace pyengine
