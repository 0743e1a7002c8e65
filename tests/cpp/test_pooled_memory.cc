#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory_resource>
#include <random>
#include <thread>
#include <vector>

#include "base/pooled_memory.h"

using namespace pyengine;

namespace {

// Vectors as the sentences of a batch have, filled with `value`.
std::vector<std::pmr::vector<std::uint8_t>> batch(PooledMemory& memory, int seed, std::uint8_t value) {
  std::mt19937 random(seed);
  std::vector<std::pmr::vector<std::uint8_t>> vectors;
  for (int i = 0; i < 200; ++i) {
    const int magnitude = static_cast<int>(random() % 21);
    vectors.emplace_back((std::size_t{1} << magnitude) + random() % 100, value, &memory);
  }
  return vectors;
}

}  // namespace

TEST_CASE("blocks are apart, aligned, and used again") {
  PooledMemory memory;
  CHECK(memory.bytes() == 0);
  std::size_t held = 0;
  for (int round = 0; round < 3; ++round) {
    const auto first = batch(memory, 1, 1), second = batch(memory, 2, 2);
    for (const auto* vectors : {&first, &second}) {
      for (const auto& vector : *vectors) {
        CHECK(reinterpret_cast<std::uintptr_t>(vector.data()) % kAlignment == 0);
        CHECK(std::ranges::count(vector, vectors == &first ? 1 : 2) == std::ssize(vector));
      }
    }
    if (round == 0) held = memory.bytes();
    CHECK(memory.bytes() == held);
  }
  CHECK(held > 0);
  memory.release();
  CHECK(memory.bytes() == 0);
  CHECK(batch(memory, 1, 3).size() == 200);
}

TEST_CASE("what one thread gives back serves another") {
  PooledMemory memory;
  batch(memory, 1, 1);
  const std::size_t held = memory.bytes();
  for (int round = 0; round < 4; ++round) std::thread([&] { batch(memory, 1, 1); }).join();
  CHECK(memory.bytes() == held);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const auto value = static_cast<std::uint8_t>(i);
      for (const auto& vector : batch(memory, i, value)) {
        if (std::ranges::count(vector, value) != std::ssize(vector)) std::abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}
