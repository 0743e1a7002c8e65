// float32 to bfloat16 and back, for code that is compiled once (kernels widen with their own vectors).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/kernels.h"

namespace pyengine {

// Rounds to nearest even.
inline Bfloat16 round_to_bf16(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x))
    return {static_cast<std::uint16_t>(bits >> 16 | 0x40)};  // a carry could make it infinite
  return {static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

// An entry of a cache of either type.
inline void convert(float x, float& entry) { entry = x; }
inline void convert(float x, Bfloat16& entry) { entry = round_to_bf16(x); }

inline float widen(Bfloat16 x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

}  // namespace pyengine
