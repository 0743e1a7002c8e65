// Keys and values of past positions, laid out for the attention kernel and never moved once written.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory_resource>
#include <mutex>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/pooled_memory.h"
#include "base/workspace.h"
#include "kernels/kernels.h"

namespace pyengine {

// What keys and values are held as. Rounding them costs a model of rounded weights nothing that can be
// measured, and halves what attention reads: with float32, more than the weights of int8.
enum class CacheType { kFloat32, kBfloat16 };

// A page holds kLanes consecutive positions, for every layer:
//   keys   [layers][heads][head_dim][kLanes]   transposed: the kernel's lanes run over positions
//   values [layers][heads][kLanes][head_dim]   a head's values together: with the values of all heads in one
//   row
//                                              attention in a decoder step took 5 (one query) to 13 % longer
// Offsets count entries of 4 bytes: floats, or pairs of bfloat16 as AttentionArgs has them.
struct PageLayout {
  int num_layers = 0;
  int num_heads = 0;
  int head_dim = 0;  // a multiple of 32 for bfloat16
  CacheType type = CacheType::kFloat32;

  int attention_size() const { return num_heads * head_dim; }
  // Entries of one position of one head.
  int head_row() const { return type == CacheType::kFloat32 ? head_dim : head_dim / 2; }
  std::int64_t head_stride() const { return static_cast<std::int64_t>(head_row()) * kLanes; }
  std::int64_t layer_size() const { return num_heads * head_stride(); }
  std::int64_t page_bytes() const { return 2 * num_layers * layer_size() * 4; }
  std::int64_t key_offset(int layer) const { return layer * layer_size(); }
  std::int64_t value_offset(int layer) const { return (num_layers + layer) * layer_size(); }
};

// Writes the key of one position into lane `lane` of transposed keys [size][kLanes].
inline void store_key(const float* key, int size, int lane, float* keys) {
  for (std::int64_t i = 0; i < size; ++i) keys[i * kLanes + lane] = key[i];
}

// Writes key and value of `layer` at `position` (both [attention_size]) into the page of that position.
void store_key_value(const PageLayout& layout, int layer, int position, const float* key, const float* value,
                     std::byte* page);

// Pages that were used and freed are handed out again, so a steady load allocates nothing. They are cut from
// slabs, which grow with the pool up to a huge page. Any number of threads may take and give back.
class PagePool {
 public:
  explicit PagePool(PageLayout layout) : layout_(layout) {}

  const PageLayout& layout() const { return layout_; }

  // A page of layout().page_bytes(). Throws std::bad_alloc.
  std::byte* acquire();
  void release(std::byte* page) {
    const std::lock_guard lock(mutex_);
    free_.push_back(page);
  }

  // Memory for what goes with the pages: tables of them, the state of a search.
  PooledMemory& memory() { return memory_; }
  const PooledMemory& memory() const { return memory_; }

  // Of all pages, in use or not.
  std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    return num_pages_ * layout_.page_bytes();
  }

  // Gives the pages and that memory to the system. Nothing may be in use.
  void release_all();

 private:
  void add_slab();

  const PageLayout layout_;
  mutable std::mutex mutex_;  // guards what follows
  std::vector<AlignedBuffer<std::byte>> slabs_;
  std::size_t num_pages_ = 0;  // of all slabs
  std::vector<std::byte*> free_;
  PooledMemory memory_;
};

// What a query sees: the key blocks and the value row of each position, as AttentionArgs takes them.
struct KeyTable {
  std::span<const KeySegment> segments;
  std::span<const void* const> values;  // [number of keys]
};

// Consecutive positions 0, 1, ... in pages of a pool, given back on destruction.
class PageList {
 public:
  PageList(PagePool& pool, int max_positions);
  ~PageList();
  PageList(PageList&& other) noexcept : pool_(other.pool_), pages_(std::move(other.pages_)) {
    other.pages_.clear();
  }
  PageList(const PageList&) = delete;
  PageList& operator=(const PageList&) = delete;
  PageList& operator=(PageList&&) = delete;

  // Makes pages up to the one of `position`.
  void reach(int position);
  std::byte* page_of(int position) const { return pages_[position / kLanes]; }
  // The value of layer 0 and head 0 at `position`.
  const void* value_row(int position) const {
    const PageLayout& layout = pool_.layout();
    const std::int64_t lane = position % kLanes;
    return page_of(position) + (layout.value_offset(0) + lane * layout.head_row()) * 4;
  }

 private:
  PagePool& pool_;
  std::pmr::vector<std::byte*> pages_;
};

// Keys and values of one source sentence, written once after the encoder.
class CrossCache {
 public:
  CrossCache(PagePool& pool, int num_positions);

  std::byte* page_of(int position) const { return pages_.page_of(position); }
  KeyTable keys() const { return {segments_, values_}; }

 private:
  PageList pages_;
  std::pmr::vector<KeySegment> segments_;
  std::pmr::vector<const void*> values_;
};

// The recurrent states of one sentence's hypotheses, which stand in place of a SelfCache in SSRU decoders:
// a step replaces them, so nothing grows.
class SsruStates {
 public:
  // `state_size` floats for each of `num_slots` hypotheses, all zero.
  SsruStates(int num_slots, std::size_t state_size, std::pmr::memory_resource* memory)
      : state_size_(state_size), states_(num_slots * state_size, memory), previous_(states_.size(), memory) {}

  // Begins a step: hypothesis i becomes a continuation of hypothesis parents[i] of the step before; each of
  // itself if there are none.
  void begin_step(std::span<const int> parents);

  // Begins the same step again.
  void begin_again(std::span<const int> parents);

  float* of(int slot) { return states_.data() + slot * state_size_; }

 private:
  std::size_t state_size_;
  std::pmr::vector<float> states_;    // [num_slots][state_size]
  std::pmr::vector<float> previous_;  // the same before the step
};

// Keys and values of the target positions of one sentence's hypotheses. A hypothesis writes into the slot
// with its own number; where its ancestors' keys lie is a table of slots, so that a search which reorders
// its hypotheses moves a few bytes a position and no keys.
class SelfCache {
 public:
  SelfCache(PagePool& pool, int num_slots, int max_positions);

  // Hypothesis i becomes a continuation of hypothesis parents[i] of the step before.
  void reorder(std::span<const int> parents);

  // The page that slot `slot` writes `position` into; from here on the hypothesis of that number sees it.
  std::byte* append(int slot, int position);

  // The table of hypothesis `slot` over positions 0 ... num_keys - 1, in memory of `workspace`.
  KeyTable keys(int slot, int num_keys, Workspace& workspace) const;

 private:
  using Slot = std::uint16_t;

  Slot* ancestors(int slot) { return ancestors_.data() + static_cast<std::size_t>(slot) * max_positions_; }
  const Slot* ancestors(int slot) const {
    return ancestors_.data() + static_cast<std::size_t>(slot) * max_positions_;
  }
  int add_block(int block, int num_lanes, const Slot* slots, KeySegment* segments) const;

  int max_positions_;
  int num_positions_ = 0;  // positions written so far
  std::pmr::vector<PageList> slots_;
  std::pmr::vector<Slot> ancestors_;           // [num_slots][max_positions] slot that holds each position
  std::pmr::vector<Slot> previous_ancestors_;  // the same before the last reordering
};

}  // namespace pyengine
