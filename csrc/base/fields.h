// Structs that declare their fields for whoever goes through all of them: T::visit_fields(visit) calls
// visit(name, &T::field, limits) for each, where `name` is what Python calls the field.
#pragma once

#include <cstddef>
#include <limits>
#include <string>

namespace pyengine {

// The numbers that a field may hold, both ends included.
struct Range {
  double smallest;
  double largest;
};
inline constexpr Range kFinite{-std::numeric_limits<double>::max(), std::numeric_limits<double>::max()};

// Of a field whose type says all.
struct NoLimits {};

// Throws std::invalid_argument naming the field unless `value` is in the range; not a number never is.
void check_range(const char* name, double value, Range range);

// Stands for a value of any type where nothing is evaluated.
struct Anything {
  template <class T>
  operator T() const;
};

// How many members the aggregate T has.
template <class T, class... Known>
consteval std::size_t num_members() {
  if constexpr (requires { T{Known()..., Anything()}; }) {
    return num_members<T, Known..., Anything>();
  } else {
    return sizeof...(Known);
  }
}

// How many of them it declares. Where the two differ, one was forgotten.
template <class T>
consteval std::size_t num_declared() {
  std::size_t count = 0;
  T::visit_fields([&count](auto&&...) { ++count; });
  return count;
}

}  // namespace pyengine
