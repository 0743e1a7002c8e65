// Random numbers by counter: each is a function of its key and its index alone, whoever asks and when.
#pragma once

#include <cstdint>
#include <span>

namespace pyengine {

// SplitMix64 (Steele, Lea and Flood 2014): output i of the generator whose state starts at `key_`.
class RandomStream {
 public:
  // The stream of one sample. Its key holds the ids of the sentence rather than its place in a list, so that
  // a sentence's samples are its own: equal inputs have equal samples, different ones unrelated numbers.
  RandomStream(std::uint64_t seed, std::span<const std::int32_t> ids, int sample) : key_(mix(seed + kStep)) {
    for (const std::int32_t id : ids) add(static_cast<std::uint64_t>(id));
    add(static_cast<std::uint64_t>(sample));
  }

  // Number `index` from 0, uniform in [0, 1): a multiple of 2^-53.
  double uniform(int index) const {
    return static_cast<double>(mix(key_ + kStep * (static_cast<std::uint64_t>(index) + 1)) >> 11) * 0x1p-53;
  }

 private:
  static constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio, odd

  static constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  void add(std::uint64_t number) { key_ = mix(key_ + kStep + number); }

  std::uint64_t key_;
};

}  // namespace pyengine
