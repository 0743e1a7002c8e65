#include "model/weights.h"

#include <set>

namespace pyengine {

std::size_t Weights::bytes() const {
  std::set<const void*> seen;
  std::size_t total = 0;
  for (const Array<std::byte>& array : arrays) {
    if (seen.insert(array.data()).second) total += array.bytes();
  }
  return total;
}

}  // namespace pyengine
