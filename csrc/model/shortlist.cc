#include "model/shortlist.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/pack.h"

namespace pyengine {
namespace {

template <class T>
Array<T> select(const Array<T>& values, std::span<const std::int32_t> columns) {
  AlignedBuffer<T> selected(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) selected.data()[i] = values.data()[columns[i]];
  return Array<T>(std::move(selected));
}

template <class T>
Array<T> select_panels(const Array<T>& panels, std::int64_t depth, std::int64_t size,
                       std::span<const std::int32_t> columns) {
  AlignedBuffer<T> selected(static_cast<std::size_t>(size));
  gather_columns(panels.data(), depth, columns.data(), static_cast<std::int64_t>(columns.size()),
                 selected.data());
  return Array<T>(std::move(selected));
}

template <class FloatPanels>
FloatPanels select_columns(const FloatPanels& panels, std::int64_t depth,
                           std::span<const std::int32_t> columns) {
  const auto num_columns = static_cast<std::int64_t>(columns.size());
  return {select_panels(panels.values, depth, packed_size(depth, num_columns), columns)};
}

GatheredS8 select_columns(const PanelsS8& panels, const Array<std::int8_t>& table,
                          std::span<const std::int32_t> columns) {
  AlignedBuffer<std::int32_t> rows(columns.size());
  std::copy(columns.begin(), columns.end(), rows.data());
  return {table, Array<std::int32_t>(std::move(rows)), select(panels.scales, columns),
          select(panels.column_sums, columns)};
}

}  // namespace

void check_shortlist(const Shortlist& shortlist, const ModelConfig& config) {
  const auto check = [](bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(std::string("shortlist: ") + message);
  };
  const std::size_t num_offsets = shortlist.offsets.size();
  check(num_offsets >= 1 && num_offsets <= static_cast<std::size_t>(config.source_vocab_size) + 1,
        "there are more source ids than in the vocabulary");
  check(shortlist.offsets.data()[num_offsets - 1] == shortlist.entries.size(),
        "the last offset is not the number of entries");
  check(shortlist.num_first >= 0 && shortlist.num_first <= config.vocab_size,
        "there are more first ids than in the vocabulary");
}

std::vector<std::int32_t> candidates(const Shortlist& shortlist, std::span<const std::int32_t> source,
                                     std::span<const std::int32_t> always, int vocab_size) {
  constexpr std::uint32_t kBits = 64;
  std::vector<std::uint64_t> chosen((static_cast<std::size_t>(vocab_size) + kBits - 1) / kBits);
  const auto choose = [&](std::uint32_t id) { chosen[id / kBits] |= std::uint64_t{1} << id % kBits; };
  for (std::int32_t id = 0; id < shortlist.num_first; ++id) choose(id);
  for (const std::int32_t id : always) choose(id);
  for (const std::int32_t id : source) {
    if (static_cast<std::size_t>(id) + 1 >= shortlist.offsets.size()) continue;
    const std::uint64_t* bounds = shortlist.offsets.data() + id;
    for (std::uint64_t i = bounds[0]; i < bounds[1]; ++i) choose(shortlist.entries.data()[i]);
  }
  std::vector<std::int32_t> ids;
  for (std::size_t word = 0; word < chosen.size(); ++word) {
    for (std::uint64_t bits = chosen[word]; bits != 0; bits &= bits - 1) {
      ids.push_back(static_cast<std::int32_t>(word * kBits + std::countr_zero(bits)));
    }
  }
  return ids;
}

void add_candidate_table(Weights& weights) {
  const Linear& lm_head = weights.lm_head;
  const auto* panels = std::get_if<PanelsS8>(&lm_head.panels);
  if (panels == nullptr) return;
  const std::size_t stride = table_stride(lm_head.in_features);
  AlignedBuffer<std::int8_t> table(lm_head.out_features * stride);
  unpack_table(panels->values.data(), lm_head.in_features, lm_head.out_features, table.data());
  weights.lm_head_table = Array<std::int8_t>(std::move(table));
}

Linear select_candidates(const Weights& weights, std::span<const std::int32_t> ids) {
  const Linear& lm_head = weights.lm_head;
  Linear selected{lm_head.in_features, static_cast<int>(ids.size()), {}, select(lm_head.bias, ids)};
  if (const auto* panels = std::get_if<PanelsS8>(&lm_head.panels)) {
    selected.panels = select_columns(*panels, weights.lm_head_table, ids);
  } else if (const auto* f32 = std::get_if<PanelsF32>(&lm_head.panels)) {
    selected.panels = select_columns(*f32, lm_head.in_features, ids);
  } else {
    selected.panels = select_columns(std::get<PanelsBf16>(lm_head.panels), lm_head.in_features, ids);
  }
  return selected;
}

}  // namespace pyengine
