#include "kernels/pack.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/bfloat16.h"
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

// Calls visit(column, panel [depth][kPanelWidth]) for each panel of the weight.
template <typename Visit>
void for_each_panel(const Source& src, const Visit& visit) {
  std::vector<float> panel(src.depth * kPanelWidth);
  for (std::int64_t column = 0; column < src.num_columns; column += kPanelWidth) {
    for (std::int64_t k = 0; k < src.depth; k += kDepthBlock) {
      pack_block(src, column, k, std::min(kDepthBlock, src.depth - k), panel.data());
    }
    visit(column, panel.data());
  }
}

// What Kernels::quantize does to a row, here for each column of a panel.
struct ColumnScales {
  float inverse[kPanelWidth], scale[kPanelWidth];
};

ColumnScales column_scales(const float* panel, std::int64_t depth) {
  float largest[kPanelWidth] = {};
  bool finite[kPanelWidth];
  std::fill_n(finite, kPanelWidth, true);
  for (std::int64_t k = 0; k < depth; ++k) {
    for (int n = 0; n < kPanelWidth; ++n) {
      const float magnitude = std::fabs(panel[k * kPanelWidth + n]);
      largest[n] = std::max(largest[n], magnitude);
      finite[n] &= magnitude < std::numeric_limits<float>::infinity();
    }
  }
  ColumnScales scales = {};
  for (int n = 0; n < kPanelWidth; ++n) {
    if (!finite[n]) {
      scales.scale[n] = std::numeric_limits<float>::quiet_NaN();
    } else if (largest[n] >= 1e-30f) {
      scales.inverse[n] = 127.0f / largest[n];
      scales.scale[n] = largest[n] / 127.0f;
    }
  }
  return scales;
}

// [depth][kPanelWidth] floats -> [ceil(depth / 4)][kPanelWidth][4] integers; adds them up in `sums`.
void quantize_panel(const float* panel, std::int64_t depth, const ColumnScales& scales,
                    std::int8_t* quantized, std::int32_t* sums) {
  for (std::int64_t k = 0; k < depth; ++k) {
    std::int8_t* group = quantized + k / kDepthGroup * kPanelWidth * kDepthGroup + k % kDepthGroup;
    for (int n = 0; n < kPanelWidth; ++n) {
      if (scales.inverse[n] == 0) continue;
      // Exact in double, so rounded once.
      const double product = double{panel[k * kPanelWidth + n]} * double{scales.inverse[n]};
      const int value = static_cast<int>(std::nearbyint(product));
      group[n * kDepthGroup] = static_cast<std::int8_t>(value);
      sums[n] += value;
    }
  }
}

template <typename Weight>
void gather(const Weight* panels, std::int64_t depth, const std::int32_t* columns, std::int64_t num_columns,
            Weight* gathered) {
  const std::int64_t padded = (num_columns + kPanelWidth - 1) / kPanelWidth * kPanelWidth;
  for (std::int64_t n = 0; n < padded; ++n) {
    Weight* to = gathered + n / kPanelWidth * kPanelWidth * depth + n % kPanelWidth;
    if (n >= num_columns) {
      for (std::int64_t k = 0; k < depth; ++k) to[k * kPanelWidth] = {};
      continue;
    }
    const Weight* from = panels + columns[n] / kPanelWidth * kPanelWidth * depth + columns[n] % kPanelWidth;
    for (std::int64_t k = 0; k < depth; ++k) to[k * kPanelWidth] = from[k * kPanelWidth];
  }
}

}  // namespace

std::int64_t packed_size(std::int64_t depth, std::int64_t num_columns) {
  return (num_columns + kPanelWidth - 1) / kPanelWidth * kPanelWidth * depth;
}

std::int64_t packed_size_s8(std::int64_t depth, std::int64_t num_columns) {
  return packed_size((depth + kDepthGroup - 1) / kDepthGroup * kDepthGroup, num_columns);
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

void pack_bf16(const float* weight, std::int64_t stride_k, std::int64_t stride_n, std::int64_t depth,
               std::int64_t num_columns, Bfloat16* panels) {
  for_each_panel({weight, depth, num_columns, stride_k, stride_n},
                 [&](std::int64_t column, const float* panel) {
                   std::transform(panel, panel + depth * kPanelWidth, panels + column * depth, round_to_bf16);
                 });
}

void pack_s8(const float* weight, std::int64_t stride_k, std::int64_t stride_n, std::int64_t depth,
             std::int64_t num_columns, std::int8_t* panels, float* scales, std::int32_t* column_sums) {
  std::fill_n(panels, packed_size_s8(depth, num_columns), 0);
  for_each_panel({weight, depth, num_columns, stride_k, stride_n},
                 [&](std::int64_t column, const float* panel) {
                   const ColumnScales panel_scales = column_scales(panel, depth);
                   std::int32_t sums[kPanelWidth] = {};
                   quantize_panel(panel, depth, panel_scales, panels + packed_size_s8(depth, column), sums);
                   const std::int64_t columns = std::min<std::int64_t>(kPanelWidth, num_columns - column);
                   std::copy_n(panel_scales.scale, columns, scales + column);
                   std::copy_n(sums, columns, column_sums + column);
                 });
}

void arrange_s8(const std::int8_t* weight, std::int64_t stride_k, std::int64_t stride_n, std::int64_t depth,
                std::int64_t num_columns, std::int8_t* panels, std::int32_t* column_sums) {
  std::fill_n(panels, packed_size_s8(depth, num_columns), 0);
  for (std::int64_t n = 0; n < num_columns; ++n) {
    const std::int8_t* from = weight + n * stride_n;
    const std::int64_t first_column = n / kPanelWidth * kPanelWidth;
    std::int8_t* to = panels + packed_size_s8(depth, first_column) + n % kPanelWidth * kDepthGroup;
    std::int32_t sum = 0;
    for (std::int64_t k = 0; k < depth; ++k) {
      const std::int8_t value = from[k * stride_k];
      to[k / kDepthGroup * kPanelWidth * kDepthGroup + k % kDepthGroup] = value;
      sum += value;
    }
    column_sums[n] = sum;
  }
}

void unpack_column(const float* panels, std::int64_t depth, std::int64_t column, float* row) {
  const float* at = panels + column / kPanelWidth * kPanelWidth * depth + column % kPanelWidth;
  for (std::int64_t k = 0; k < depth; ++k) row[k] = at[k * kPanelWidth];
}

void unpack_column(const Bfloat16* panels, std::int64_t depth, std::int64_t column, float* row) {
  const Bfloat16* at = panels + column / kPanelWidth * kPanelWidth * depth + column % kPanelWidth;
  for (std::int64_t k = 0; k < depth; ++k) {
    row[k] = widen(at[k * kPanelWidth]);
  }
}

void unpack_column(const std::int8_t* panels, float scale, std::int32_t zero_point, std::int64_t depth,
                   std::int64_t column, float* row) {
  const std::int8_t* at =
      panels + packed_size_s8(depth, column / kPanelWidth * kPanelWidth) + column % kPanelWidth * kDepthGroup;
  // As floats, which hold what a quantiser chooses exactly; a forged one would overflow as an integer.
  const float zero = static_cast<float>(zero_point);
  for (std::int64_t k = 0; k < depth; ++k) {
    const std::int8_t value = at[k / kDepthGroup * kPanelWidth * kDepthGroup + k % kDepthGroup];
    row[k] = (static_cast<float>(value) - zero) * scale;
  }
}

void gather_columns(const float* panels, std::int64_t depth, const std::int32_t* columns,
                    std::int64_t num_columns, float* gathered) {
  gather(panels, depth, columns, num_columns, gathered);
}

void gather_columns(const Bfloat16* panels, std::int64_t depth, const std::int32_t* columns,
                    std::int64_t num_columns, Bfloat16* gathered) {
  gather(panels, depth, columns, num_columns, gathered);
}

void unpack_table(const std::int8_t* panels, std::int64_t depth, std::int64_t num_columns,
                  std::int8_t* table) {
  const std::int64_t stride = table_stride(static_cast<int>(depth));
  std::fill_n(table, num_columns * stride, 0);
  for (std::int64_t first = 0; first < num_columns; first += kPanelWidth) {
    const std::int8_t* panel = panels + packed_size_s8(depth, first);
    const std::int64_t width = std::min<std::int64_t>(kPanelWidth, num_columns - first);
    for (std::int64_t k = 0; k < depth; k += kDepthGroup, panel += kPanelWidth * kDepthGroup) {
      for (std::int64_t n = 0; n < width; ++n) {
        std::memcpy(table + (first + n) * stride + k, panel + n * kDepthGroup, kDepthGroup);
      }
    }
  }
}

}  // namespace pyengine
