#include "model/rotary.h"

#include <cmath>
#include <cstdint>

namespace pyengine {
namespace {

struct CosSin {
  double cos;
  double sin;
};

// Not those of libm, whose last bits differ from one CPU to the next. Cody and Waite's reduction: x is a
// multiple of pi / 2, whose first 33 bits are multiplied exactly, and a rest r in [-pi / 4, pi / 4], of which
// Taylor's series is summed. Error below 1e-15 up to 2^19.
CosSin cos_sin(double x) {
  constexpr double kHigh = 0x1.921fb54400000p+0, kLow = 0x1.0b4611a626331p-34;  // of pi / 2
  constexpr double kTwoOverPi = 0.63661977236758134;
  const double n = std::nearbyint(x * kTwoOverPi);
  const double r = (x - n * kHigh) - n * kLow;
  CosSin sums{1.0, r};
  double cos_term = 1.0, sin_term = r;
  for (int k = 1; k <= 9; ++k) {
    cos_term *= -r * r / ((2 * k - 1) * (2 * k));
    sin_term *= -r * r / ((2 * k) * (2 * k + 1));
    sums.cos += cos_term;
    sums.sin += sin_term;
  }
  switch (static_cast<std::int64_t>(n) & 3) {
    case 1:
      return {-sums.sin, sums.cos};
    case 2:
      return {-sums.cos, -sums.sin};
    case 3:
      return {sums.sin, -sums.cos};
    default:
      return sums;
  }
}

}  // namespace

void fill_rotary(const float* inverse_frequencies, int num_angles, int num_positions, float* table) {
  for (int position = 0; position < num_positions; ++position) {
    for (int i = 0; i < num_angles; ++i) {
      const float angle = static_cast<float>(position) * inverse_frequencies[i];
      const CosSin turned = cos_sin(angle);
      table[i] = static_cast<float>(turned.cos);
      table[num_angles + i] = static_cast<float>(turned.sin);
    }
    table += 2 * num_angles;
  }
}

}  // namespace pyengine
