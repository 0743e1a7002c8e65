#include "kernels/pack.h"

#include <algorithm>

#include "kernels/kernels.h"

namespace pyengine {
namespace {

// Depth of the block copied at once: 32 columns x 16 rows = 2 KB, which stays in the first-level cache
// whichever of the two strides is 1.
constexpr std::int64_t kDepthBlock = 16;

// Panels whose rows are copied together when a weight row is contiguous: 16 x 128 bytes of one row, so
// that a wide matrix is read in runs that the prefetcher sees.
constexpr std::int64_t kPanelGroup = 16;

struct Source {
  const float* weight;
  std::int64_t depth, num_columns, stride_k, stride_n;
};

// Rows k ... k + rows - 1 of the panel that starts at `column`.
void pack_block(const Source& src, std::int64_t column, std::int64_t k, std::int64_t rows, float* panel) {
  const std::int64_t columns = std::min<std::int64_t>(kPanelWidth, src.num_columns - column);
  const float* from = src.weight + column * src.stride_n + k * src.stride_k;
  float* to = panel + k * kPanelWidth;
  if (src.stride_n == 1) {
    for (std::int64_t i = 0; i < rows; ++i) {
      std::copy_n(from + i * src.stride_k, columns, to + i * kPanelWidth);
    }
  } else {
    for (std::int64_t n = 0; n < columns; ++n) {
      for (std::int64_t i = 0; i < rows; ++i) {
        to[i * kPanelWidth + n] = from[n * src.stride_n + i * src.stride_k];
      }
    }
  }
  for (std::int64_t i = 0; columns < kPanelWidth && i < rows; ++i) {
    std::fill(to + i * kPanelWidth + columns, to + (i + 1) * kPanelWidth, 0.0f);
  }
}

}  // namespace

std::int64_t packed_size(std::int64_t depth, std::int64_t num_columns) {
  return (num_columns + kPanelWidth - 1) / kPanelWidth * kPanelWidth * depth;
}

void pack(const float* weight, std::int64_t stride_k, std::int64_t stride_n, std::int64_t depth,
          std::int64_t num_columns, float* panels) {
  const Source src = {weight, depth, num_columns, stride_k, stride_n};
  const std::int64_t group = (stride_n == 1 ? kPanelGroup : 1) * kPanelWidth;
  for (std::int64_t first = 0; first < num_columns; first += group) {
    const std::int64_t end = std::min(first + group, num_columns);
    for (std::int64_t k = 0; k < depth; k += kDepthBlock) {
      const std::int64_t rows = std::min(kDepthBlock, depth - k);
      for (std::int64_t column = first; column < end; column += kPanelWidth) {
        pack_block(src, column, k, rows, panels + column * depth);
      }
    }
  }
}

}  // namespace pyengine
