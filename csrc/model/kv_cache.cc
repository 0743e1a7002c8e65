#include "model/kv_cache.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "kernels/bfloat16.h"

namespace pyengine {

namespace {

void store_floats(const PageLayout& layout, int lane, const float* key, const float* value, float* keys,
                  float* values) {
  store_key(key, layout.attention_size(), lane, keys);
  for (int head = 0; head < layout.num_heads; ++head) {
    std::copy_n(value + head * layout.head_dim, layout.head_dim,
                values + head * layout.head_stride() + lane * layout.head_row());
  }
}

void store_pairs(const PageLayout& layout, int lane, const float* key, const float* value, Bf16Pair* keys,
                 Bf16Pair* values) {
  const int num_pairs = layout.attention_size() / 2;
  for (std::int64_t i = 0; i < num_pairs; ++i) keys[i * kLanes + lane] = pair(key[2 * i], key[2 * i + 1]);
  for (int head = 0; head < layout.num_heads; ++head) {
    const float* from = value + head * layout.head_dim;
    Bf16Pair* row = values + head * layout.head_stride() + lane * layout.head_row();
    for (int i = 0; i < layout.head_row(); i += kLanes, from += 2 * kLanes) {
      for (int l = 0; l < kLanes; ++l) row[i + l] = pair(from[l], from[kLanes + l]);
    }
  }
}

}  // namespace

void store_key_value(const PageLayout& layout, int layer, int position, const float* key, const float* value,
                     std::byte* page) {
  const int lane = position % kLanes;
  const auto store_in = [&](const auto& store, auto* entries) {
    store(layout, lane, key, value, entries + layout.key_offset(layer), entries + layout.value_offset(layer));
  };
  if (layout.type == CacheType::kFloat32) {
    store_in(store_floats, reinterpret_cast<float*>(page));
  } else {
    store_in(store_pairs, reinterpret_cast<Bf16Pair*>(page));
  }
}

std::byte* PagePool::acquire() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) add_slab();
  std::byte* page = free_.back();
  free_.pop_back();
  return page;
}

void PagePool::add_slab() {
  // Half of what there is: a small model's few sentences shall not take a huge page.
  constexpr std::size_t kSmallest = kHugePage / 8;
  const auto page_bytes = static_cast<std::size_t>(layout_.page_bytes());
  const std::size_t wanted = std::clamp(num_pages_ * page_bytes / 2, kSmallest, kHugePage);
  const std::size_t count = std::max<std::size_t>(1, wanted / page_bytes);
  free_.reserve(num_pages_ + count);  // so that release() never allocates
  // A slab of a huge page is one, even if its last page ends before.
  AlignedBuffer<std::byte> slab(std::max(wanted, count * page_bytes));
  std::fill_n(slab.data(), slab.size(), std::byte{0});  // lanes not yet written are read, then masked
  for (std::size_t i = count; i-- > 0;) free_.push_back(slab.data() + i * page_bytes);
  slabs_.push_back(std::move(slab));
  num_pages_ += count;
}

void PagePool::release_all() {
  const std::lock_guard lock(mutex_);
  PE_DCHECK(free_.size() == num_pages_);
  free_.clear();
  slabs_.clear();
  num_pages_ = 0;
  memory_.release();
}

PageList::PageList(PagePool& pool, int max_positions) : pool_(pool), pages_(&pool.memory()) {
  pages_.reserve((max_positions + kLanes - 1) / kLanes);
}

PageList::~PageList() {
  for (std::byte* page : pages_) pool_.release(page);
}

void PageList::reach(int position) {
  while (static_cast<int>(pages_.size()) <= position / kLanes) pages_.push_back(pool_.acquire());
}

CrossCache::CrossCache(PagePool& pool, int num_positions)
    : pages_(pool, num_positions), segments_(&pool.memory()), values_(&pool.memory()) {
  segments_.reserve((num_positions + kLanes - 1) / kLanes);
  values_.reserve(num_positions);
  pages_.reach(num_positions - 1);
  for (int position = 0; position < num_positions; ++position) {
    if (position % kLanes == 0) segments_.push_back({pages_.page_of(position), position / kLanes, 0xffff});
    values_.push_back(pages_.value_row(position));
  }
}

void SsruStates::begin_step(std::span<const int> parents) {
  std::swap(states_, previous_);
  begin_again(parents);
}

void SsruStates::begin_again(std::span<const int> parents) {
  if (parents.empty()) std::copy(previous_.begin(), previous_.end(), states_.begin());
  for (std::size_t i = 0; i < parents.size(); ++i) {
    std::copy_n(previous_.data() + parents[i] * state_size_, state_size_, of(static_cast<int>(i)));
  }
}

SelfCache::SelfCache(PagePool& pool, int num_slots, int max_positions)
    : max_positions_(max_positions),
      slots_(&pool.memory()),
      ancestors_(static_cast<std::size_t>(num_slots) * max_positions, &pool.memory()),
      previous_ancestors_(ancestors_.size(), &pool.memory()) {
  slots_.reserve(num_slots);
  for (int slot = 0; slot < num_slots; ++slot) slots_.emplace_back(pool, max_positions);
}

void SelfCache::reorder(std::span<const int> parents) {
  std::swap(ancestors_, previous_ancestors_);
  PE_DCHECK(std::ssize(parents) <= std::ssize(slots_));
  for (std::size_t i = 0; i < parents.size(); ++i) {
    PE_DCHECK(parents[i] >= 0 && parents[i] < std::ssize(slots_));
    const Slot* parent = previous_ancestors_.data() + static_cast<std::size_t>(parents[i]) * max_positions_;
    std::copy_n(parent, num_positions_, ancestors(static_cast<int>(i)));
  }
}

std::byte* SelfCache::append(int slot, int position) {
  PE_DCHECK(slot >= 0 && slot < std::ssize(slots_) && position >= 0 && position < max_positions_);
  ancestors(slot)[position] = static_cast<Slot>(slot);
  num_positions_ = std::max(num_positions_, position + 1);
  slots_[slot].reach(position);
  return slots_[slot].page_of(position);
}

KeyTable SelfCache::keys(int slot, int num_keys, Workspace& workspace) const {
  PE_DCHECK(slot >= 0 && slot < std::ssize(slots_) && num_keys >= 1 && num_keys <= num_positions_);
  const Slot* slots = ancestors(slot);
  auto* values = workspace.take<const void*>(num_keys);
  for (int position = 0; position < num_keys; ++position) {
    values[position] = slots_[slots[position]].value_row(position);
  }
  // Each block has at most one segment for each slot, and for each of its positions.
  const int max_segments = std::min<int>(static_cast<int>(slots_.size()), kLanes);
  const int num_blocks = (num_keys + kLanes - 1) / kLanes;
  auto* segments = workspace.take<KeySegment>(static_cast<std::size_t>(num_blocks) * max_segments);
  int num_segments = 0;
  for (int block = 0; block < num_blocks; ++block) {
    const int first = block * kLanes;
    num_segments +=
        add_block(block, std::min(kLanes, num_keys - first), slots + first, segments + num_segments);
  }
  return {{segments, static_cast<std::size_t>(num_segments)}, {values, static_cast<std::size_t>(num_keys)}};
}

// One segment for each distinct slot among the block's positions; returns their number. After a few steps
// the hypotheses of a beam share their ancestors, so nearly every block has one.
int SelfCache::add_block(int block, int num_lanes, const Slot* slots, KeySegment* segments) const {
  std::uint32_t left = (1u << num_lanes) - 1;
  int count = 0;
  while (left != 0) {
    const Slot slot = slots[std::countr_zero(left)];
    std::uint32_t lanes = 0;
    for (int lane = 0; lane < num_lanes; ++lane)
      lanes |= static_cast<std::uint32_t>(slots[lane] == slot) << lane;
    segments[count++] = {slots_[slot].page_of(block * kLanes), block, lanes};
    left &= ~lanes;
  }
  // The kernel's fast path wants all lanes of a lone segment; those past num_lanes are masked by num_keys.
  if (count == 1) segments[0].lanes = 0xffff;
  return count;
}

}  // namespace pyengine
