// The layout of a packed weight: panels of kPanelWidth output columns, each [depth][kPanelWidth], so that
// a tile of the matrix product reads its weights as one ascending stream. The same on every CPU.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace pyengine {

// Floats of a packed [depth, num_columns] weight, the padding of the last panel included.
std::int64_t packed_size(std::int64_t depth, std::int64_t num_columns);

// Packs weight[k * stride_k + n * stride_n], strides in floats, into `panels` [packed_size(...)], which is
// 64-byte aligned. Columns past the last one are 0.
void pack(const float* weight, std::int64_t stride_k, std::int64_t stride_n, std::int64_t depth,
          std::int64_t num_columns, float* panels);

// The same for weights rounded to nearest even.
void pack_bf16(const float* weight, std::int64_t stride_k, std::int64_t stride_n, std::int64_t depth,
               std::int64_t num_columns, Bfloat16* panels);

// Bytes of a packed int8 weight.
std::int64_t packed_size_s8(std::int64_t depth, std::int64_t num_columns);

// Symmetric int8 of each column: scales[n] = largest |w| of the column / 127, weights rounded to nearest even
// (see Kernels::quantize). panels [packed_size_s8(...)], scales and column_sums [num_columns].
void pack_s8(const float* weight, std::int64_t stride_k, std::int64_t stride_n, std::int64_t depth,
             std::int64_t num_columns, std::int8_t* panels, float* scales, std::int32_t* column_sums);

// The same of weights that are int8 already: what is left to do is their order.
void arrange_s8(const std::int8_t* weight, std::int64_t stride_k, std::int64_t stride_n, std::int64_t depth,
                std::int64_t num_columns, std::int8_t* panels, std::int32_t* column_sums);

// Column `column` of a packed weight as floats, row [depth]; int8 as (value - zero_point) * scale.
void unpack_column(const float* panels, std::int64_t depth, std::int64_t column, float* row);
void unpack_column(const Bfloat16* panels, std::int64_t depth, std::int64_t column, float* row);
void unpack_column(const std::int8_t* panels, float scale, std::int32_t zero_point, std::int64_t depth,
                   std::int64_t column, float* row);

// The packed weight of some columns of a packed weight: column i of `gathered` is column columns[i] of
// `panels`.
void gather_columns(const float* panels, std::int64_t depth, const std::int32_t* columns,
                    std::int64_t num_columns, float* gathered);
void gather_columns(const Bfloat16* panels, std::int64_t depth, const std::int32_t* columns,
                    std::int64_t num_columns, Bfloat16* gathered);

// The columns of packed int8 as the rows of a table, see GatheredS8Args: table
// [num_columns][table_stride(depth)].
void unpack_table(const std::int8_t* panels, std::int64_t depth, std::int64_t num_columns,
                  std::int8_t* table);

}  // namespace pyengine
