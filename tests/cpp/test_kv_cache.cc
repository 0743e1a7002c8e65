#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/bfloat16.h"
#include "model/kv_cache.h"

using namespace pyengine;

namespace {

// A key whose entries name the position and the hypothesis that wrote it.
std::vector<float> key_of(int size, int position, int slot) {
  std::vector<float> key(size);
  for (int i = 0; i < size; ++i) key[i] = static_cast<float>(10000 * slot + 10 * position) + 0.01f * i;
  return key;
}

void append(SelfCache& cache, const PageLayout& layout, int slot, int position) {
  const std::vector<float> key = key_of(layout.attention_size(), position, slot);
  std::byte* page = cache.append(slot, position);
  for (int layer = 0; layer < layout.num_layers; ++layer) {
    store_key_value(layout, layer, position, key.data(), key.data(), page);
  }
}

// The first entry of the key that `table` shows at `position`, taken from the segment that holds its lane.
float key_at(const KeyTable& table, const PageLayout& layout, int layer, int position) {
  for (const KeySegment& segment : table.segments) {
    const bool has_lane = segment.lanes >> (position % kLanes) & 1;
    if (segment.block == position / kLanes && has_lane) {
      const auto* keys = static_cast<const float*>(segment.keys);
      return keys[layout.key_offset(layer) + position % kLanes];
    }
  }
  return -1.0f;
}

}  // namespace

TEST_CASE("after random reorderings every hypothesis sees the keys and values of its own ancestors") {
  constexpr int kSlots = 5, kPositions = 70;
  const PageLayout layout{2, 1, 6};
  PagePool pool(layout);
  SelfCache cache(pool, kSlots, kPositions);
  std::vector<std::vector<int>> history(kSlots);  // the slot that wrote each position
  std::mt19937 random(3);
  Workspace workspace;
  for (int position = 0; position < kPositions; ++position) {
    if (position > 0) {
      std::vector<int> parents(kSlots);
      for (int& parent : parents) parent = static_cast<int>(random() % kSlots);
      const auto previous = history;
      for (int slot = 0; slot < kSlots; ++slot) history[slot] = previous[parents[slot]];
      cache.reorder(parents);
    }
    for (int slot = 0; slot < kSlots; ++slot) {
      append(cache, layout, slot, position);
      history[slot].push_back(slot);
    }
    workspace.reset();
    for (int slot = 0; slot < kSlots; ++slot) {
      const KeyTable table = cache.keys(slot, position + 1, workspace);
      for (int p = 0; p <= position; ++p) {
        const float expected = key_of(layout.attention_size(), p, history[slot][p])[0];
        for (int layer = 0; layer < layout.num_layers; ++layer) {
          REQUIRE(key_at(table, layout, layer, p) == expected);
          const auto* row = static_cast<const float*>(table.values[p]);
          REQUIRE(row[layout.value_offset(layer) - layout.value_offset(0)] == expected);
        }
      }
    }
  }
}

TEST_CASE("a cache of bfloat16 holds rounded keys and values as pairs in half the memory") {
  const PageLayout layout{2, 2, 64, CacheType::kBfloat16}, whole{2, 2, 64, CacheType::kFloat32};
  CHECK(2 * layout.page_bytes() == whole.page_bytes());
  PagePool pool(layout);
  std::vector<float> key(128), value(128);
  for (int i = 0; i < 128; ++i) {
    key[i] = static_cast<float>(i + 1) * 1.001f;
    value[i] = -key[i];
  }
  std::byte* page = pool.acquire();
  store_key_value(layout, 1, 19, key.data(), value.data(), page);
  const auto* entries = reinterpret_cast<const Bf16Pair*>(page);
  for (int i = 0; i < 128; ++i) {
    const Bf16Pair keys = entries[layout.key_offset(1) + i / 2 * kLanes + 3];
    CHECK((keys.bits >> (i % 2 * 16) & 0xffff) == round_to_bf16(key[i]).bits);
    const int head = i / 64, d = i % 64, place = d / 32 * 16 + d % 16;
    const Bf16Pair values = entries[layout.value_offset(1) + head * layout.head_stride() + 3 * 32 + place];
    CHECK((values.bits >> (d % 32 / 16 * 16) & 0xffff) == round_to_bf16(value[i]).bits);
  }
}

TEST_CASE("pages are given back and used again") {
  const PageLayout layout{1, 2, 8192};  // so large that each slab is one page
  PagePool pool(layout);
  for (int round = 0; round < 4; ++round) {
    SelfCache cache(pool, 2, 40);
    for (int position = 0; position < 40; ++position) append(cache, layout, 0, position);
    const CrossCache source(pool, 33);
    CHECK(source.keys().segments.size() == 3);
    CHECK(source.keys().values.size() == 33);
  }
  CHECK(pool.bytes() == 6 * layout.page_bytes());  // three pages each, whatever the rounds
}

TEST_CASE("a pool's pages are zero, apart from each other, and handed out again") {
  const PageLayout layout{2, 1, 64};
  PagePool pool(layout);
  const auto size = static_cast<std::size_t>(layout.page_bytes());
  const std::size_t num_pages = kHugePage / size + 1;  // more than one slab holds
  std::vector<std::byte*> pages;
  for (std::size_t i = 0; i < num_pages; ++i) {
    pages.push_back(pool.acquire());
    REQUIRE(reinterpret_cast<std::uintptr_t>(pages.back()) % kAlignment == 0);
    REQUIRE(std::all_of(pages.back(), pages.back() + size, [](std::byte b) { return b == std::byte{0}; }));
    std::fill_n(pages.back(), size, std::byte{1});
  }
  const std::size_t bytes = pool.bytes();
  for (std::byte* page : pages) pool.release(page);
  for (std::size_t i = 0; i < num_pages; ++i) pool.acquire();
  CHECK(pool.bytes() == bytes);
}
