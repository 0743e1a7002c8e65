// float32 to bfloat16 and back, for code that is compiled once (kernels widen with their own vectors).
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/kernels.h"

namespace pyengine {

// Rounds to nearest even. Without a branch, so that a loop over it is vectorised.
inline Bfloat16 round_to_bf16(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const bool is_nan = static_cast<std::int32_t>(bits & 0x7fffffff) > 0x7f800000;  // a carry could undo it
  return {static_cast<std::uint16_t>(is_nan ? bits >> 16 | 0x40 : rounded)};
}

inline Bf16Pair pair(float first, float second) {
  return {round_to_bf16(first).bits | std::uint32_t{round_to_bf16(second).bits} << 16};
}

inline float widen(Bfloat16 x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

}  // namespace pyengine
