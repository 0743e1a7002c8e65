// The layout of a packed weight: panels of kPanelWidth output columns, each [depth][kPanelWidth], so that
// a tile of the matrix product reads its weights as one ascending stream. The same on every CPU.
#pragma once

#include <cstdint>

namespace pyengine {

// Floats of a packed [depth, num_columns] weight, the padding of the last panel included.
std::int64_t packed_size(std::int64_t depth, std::int64_t num_columns);

// Packs weight[k * stride_k + n * stride_n], strides in floats, into `panels` [packed_size(...)], which is
// 64-byte aligned. Columns past the last one are 0.
void pack(const float* weight, std::int64_t stride_k, std::int64_t stride_n, std::int64_t depth,
          std::int64_t num_columns, float* panels);

}  // namespace pyengine
