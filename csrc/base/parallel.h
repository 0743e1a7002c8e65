// How much of the machine a forward pass may use, and how it splits its loops.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pyengine {

// Less arithmetic than this many multiply-adds is done faster by one thread than a barrier takes.
inline constexpr std::int64_t kMinWorkPerTask = 1 << 15;

// Number of equal parts in which to split `work` multiply-adds over `num_threads`, at most `max_parts`.
// Four parts a thread, so that a thread that was interrupted does not hold up the others for long.
inline int num_parts(std::int64_t work, int num_threads, int max_parts) {
  if (num_threads <= 1) return 1;
  const std::int64_t wanted = std::min<std::int64_t>(work / kMinWorkPerTask, 4 * num_threads);
  return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, max_parts));
}

// Number of groups of equally many threads in which to split num_threads, at most `max_groups`.
inline int equal_groups(int num_threads, int max_groups) {
  int count = std::clamp(max_groups, 1, num_threads);
  while (num_threads % count != 0) --count;
  return count;
}

// First index of part `part` of `num_parts` when `size` entries are split evenly.
inline int part_begin(int size, int part, int num_parts) {
  return static_cast<int>(static_cast<std::int64_t>(size) * part / num_parts);
}

}  // namespace pyengine
