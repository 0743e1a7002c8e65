#include "model/mapped_weights.h"

#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/pack.h"
#include "model/shortlist.h"
#include "model/weight_plan.h"

namespace pyengine {
namespace {

void check(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument("packed weights: " + message);
}

// Where the arrays of a model lie if they are as packing writes them: each at the end of those before, or in
// the place of an earlier one of its size, as tied tables are. Sizes are in bytes.
class Places {
 public:
  void add(const std::string& name, std::uint64_t offset, std::uint64_t size) {
    const auto earlier = sizes_.find(offset);
    if (earlier != sizes_.end() && earlier->second == size) return;
    check(offset == end_,
          name + " is at offset " + std::to_string(offset) + ", expected " + std::to_string(end_));
    sizes_[offset] = size;
    end_ += (size + kAlignment - 1) / kAlignment * kAlignment;
  }

  std::uint64_t end() const { return end_; }

 private:
  std::map<std::uint64_t, std::uint64_t> sizes_;  // by offset
  std::uint64_t end_ = 0;
};

// Finds each array at the next offset.
class MappedArrays : public WeightSource {
 public:
  MappedArrays(WeightType type, std::shared_ptr<const void> owner, std::span<const std::byte> bytes,
               std::span<const std::uint64_t> offsets)
      : type_(type), owner_(std::move(owner)), bytes_(bytes), offsets_(offsets) {}

  void check_all_found() const {
    check(arrays().size() == offsets_.size(), "found " + std::to_string(offsets_.size()) +
                                                  " arrays, expected " + std::to_string(arrays().size()));
    check(places_.end() == bytes_.size(),
          "found " + std::to_string(bytes_.size()) + " bytes, expected " + std::to_string(places_.end()));
  }

 private:
  // What projections are called together makes no difference to their arrays.
  bool has(const std::string&) const override { return false; }

  Array<float> make_floats(std::size_t size, const Fill&) override { return next<float>(size); }

  Panels make_panels(const std::vector<Projection>& parts, int depth) override {
    return panels(depth, total_features(parts));
  }

  Panels make_vocabulary(const Projection& columns, int depth, bool) override {
    return panels(depth, columns.out_features);
  }

  Array<std::int8_t> make_candidate_table(const Linear& lm_head) override {
    return next<std::int8_t>(candidate_table_size(lm_head));
  }

  // The arrays in the order of the fields.
  Panels panels(int depth, int columns) {
    const auto size = static_cast<std::size_t>(packed_size(depth, columns));
    const auto num_columns = static_cast<std::size_t>(columns);
    switch (type_) {
      case WeightType::kInt8:
        return PanelsS8{next<std::int8_t>(static_cast<std::size_t>(packed_size_s8(depth, columns))),
                        next<float>(num_columns), next<std::int32_t>(num_columns),
                        next<std::int32_t>(num_columns)};
      case WeightType::kBfloat16:
        return PanelsBf16{next<Bfloat16>(size)};
      case WeightType::kFloat32:
        return PanelsF32{next<float>(size)};
    }
    throw std::logic_error("a type of weights that nothing maps");
  }

  template <class T>
  Array<T> next(std::size_t size) {
    const std::string name = "array " + std::to_string(index_);
    check(index_ < offsets_.size(), name + " has no offset");
    const std::uint64_t offset = offsets_[index_++], num_bytes = size * sizeof(T);
    places_.add(name, offset, num_bytes);
    check(offset <= bytes_.size() && num_bytes <= bytes_.size() - offset,
          name + " ends beyond the " + std::to_string(bytes_.size()) + " bytes");
    return Array<T>(owner_, reinterpret_cast<const T*>(bytes_.data() + offset), size);
  }

  WeightType type_;
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
  std::span<const std::uint64_t> offsets_;
  std::size_t index_ = 0;
  Places places_;
};

}  // namespace

Weights map_weights(const ModelConfig& config, WeightType type, bool candidate_table,
                    std::shared_ptr<const void> owner, std::span<const std::byte> bytes,
                    std::span<const std::uint64_t> offsets) {
  check(reinterpret_cast<std::uintptr_t>(bytes.data()) % kAlignment == 0, "the memory is not aligned");
  MappedArrays source(type, std::move(owner), bytes, offsets);
  Weights weights = plan_weights(config, source, candidate_table);
  source.check_all_found();
  return weights;
}

}  // namespace pyengine
