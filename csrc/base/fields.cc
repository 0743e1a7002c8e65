#include "base/fields.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <stdexcept>

namespace pyengine {
namespace {

std::string to_string(double number) {
  constexpr double kExact = 1e15;  // whole numbers below are written out
  if (std::trunc(number) == number && std::abs(number) < kExact) {
    return std::to_string(static_cast<std::int64_t>(number));
  }
  char text[32];
  std::snprintf(text, sizeof text, "%g", number);
  return text;
}

}  // namespace

void check_range(const char* name, double value, Range range) {
  if (range.smallest <= value && value <= range.largest) return;
  throw std::invalid_argument(std::string(name) + " is " + to_string(value) + ", expected a number from " +
                              to_string(range.smallest) + " to " + to_string(range.largest));
}

}  // namespace pyengine
