#include "model/shortlist.h"

#include <algorithm>
#include <bit>
#include <numeric>
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

GatheredS8 select_columns(const PanelsS8& panels, Array<std::int8_t> table, Array<std::int32_t> rows,
                          std::span<const std::int32_t> columns) {
  return {std::move(table), std::move(rows), select(panels.scales, columns),
          select(panels.zero_points, columns), select(panels.column_sums, columns)};
}

Array<std::int32_t> copied(std::span<const std::int32_t> values) {
  AlignedBuffer<std::int32_t> copy(values.size());
  std::copy(values.begin(), values.end(), copy.data());
  return Array<std::int32_t>(std::move(copy));
}

Array<std::int32_t> counted(std::size_t count) {
  AlignedBuffer<std::int32_t> numbers(count);
  std::iota(numbers.data(), numbers.data() + count, 0);
  return Array<std::int32_t>(std::move(numbers));
}

Array<std::int8_t> copied_rows(const Array<std::int8_t>& table, std::size_t stride,
                               std::span<const std::int32_t> rows) {
  AlignedBuffer<std::int8_t> copy(rows.size() * stride);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(table.data() + rows[i] * stride, stride, copy.data() + i * stride);
  }
  return Array<std::int8_t>(std::move(copy));
}

}  // namespace

void check_shortlist(const Shortlist& shortlist, const ModelConfig& config) {
  const auto check = [](bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(std::string("shortlist: ") + message);
  };
  const std::size_t num_offsets = shortlist.offsets.size();
  check(num_offsets >= 1 && num_offsets <= static_cast<std::size_t>(config.source_vocab_size) + 1,
        "there are more source ids than in the vocabulary");
  const std::span<const std::uint64_t> offsets(shortlist.offsets.data(), num_offsets);
  check(std::ranges::is_sorted(offsets) && offsets.back() == shortlist.entries.size(),
        "the offsets do not rise to the number of entries");
  const std::span<const std::uint32_t> entries(shortlist.entries.data(), shortlist.entries.size());
  check(entries.empty() || std::ranges::max(entries) < static_cast<std::uint32_t>(config.vocab_size),
        "an entry is outside the vocabulary");
  check(!shortlist.shared_vocabulary || config.source_vocab_size <= config.vocab_size,
        "source and target have vocabularies of different sizes");
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
    if (shortlist.shared_vocabulary) choose(id);
    if (static_cast<std::size_t>(id) + 1 >= shortlist.offsets.size()) continue;
    const std::uint64_t* bounds = shortlist.offsets.data() + id;
    for (std::uint64_t i = bounds[0]; i < bounds[1]; ++i) choose(shortlist.entries.data()[i]);
  }
  std::size_t count = 0;
  for (const std::uint64_t bits : chosen) count += std::popcount(bits);
  std::vector<std::int32_t> ids;
  ids.reserve(count);
  for (std::size_t word = 0; word < chosen.size(); ++word) {
    for (std::uint64_t bits = chosen[word]; bits != 0; bits &= bits - 1) {
      ids.push_back(static_cast<std::int32_t>(word * kBits + std::countr_zero(bits)));
    }
  }
  return ids;
}

std::size_t candidate_table_size(const Linear& lm_head) {
  if (!std::holds_alternative<PanelsS8>(lm_head.panels)) return 0;
  return static_cast<std::size_t>(lm_head.out_features) * table_stride(lm_head.in_features);
}

Array<std::int8_t> make_candidate_table(const Linear& lm_head) {
  AlignedBuffer<std::int8_t> table(candidate_table_size(lm_head));
  const auto& panels = std::get<PanelsS8>(lm_head.panels);
  unpack_table(panels.values.data(), lm_head.in_features, lm_head.out_features, table.data());
  return Array<std::int8_t>(std::move(table));
}

void add_candidate_table(Weights& weights) {
  if (candidate_table_size(weights.lm_head) == 0) return;
  weights.lm_head_table = make_candidate_table(weights.lm_head);
  weights.arrays.push_back(weights.lm_head_table.as_bytes());
}

void embed_by_candidate_table(Weights& weights) {
  const Linear& lm_head = weights.lm_head;
  const auto* panels = std::get_if<PanelsS8>(&lm_head.panels);
  if (panels == nullptr) return;
  for (Embedding* embedding : {&weights.encoder_embedding, &weights.decoder_embedding}) {
    const auto* tokens = std::get_if<PanelsS8>(&embedding->tokens);
    if (tokens == nullptr || tokens->values.data() != panels->values.data()) continue;
    const auto vocab_size = static_cast<std::size_t>(lm_head.out_features);
    embedding->tokens = GatheredS8{weights.lm_head_table, counted(vocab_size), panels->scales,
                                   panels->zero_points, panels->column_sums};
  }
}

Linear select_candidates(const Weights& weights, std::span<const std::int32_t> ids, bool side_by_side) {
  const Linear& lm_head = weights.lm_head;
  const int depth = lm_head.in_features;
  const auto selected = [&]<class Type>(const Type& panels) -> Panels {
    if constexpr (std::is_same_v<Type, PanelsS8>) {
      const Array<std::int8_t>& table = weights.lm_head_table;
      if (!side_by_side) return select_columns(panels, table, copied(ids), ids);
      const Array<std::int8_t> own = copied_rows(table, table_stride(depth), ids);
      return select_columns(panels, own, counted(ids.size()), ids);
    } else if constexpr (std::is_same_v<Type, GatheredS8>) {
      throw std::logic_error("the output projection is not whole");
    } else {
      return select_columns(panels, depth, ids);
    }
  };
  return {depth, static_cast<int>(ids.size()), std::visit(selected, lm_head.panels),
          select(lm_head.bias, ids)};
}

}  // namespace pyengine
