// An int8 product with columns that lie apart in a table: lanes run over the depth of one column, and the sum
// across them is exact. So the bits are those of gemm_s8, and nothing is copied.
#pragma once

#include "kernels/gemm_s8-inl.h"

// Bytes of a column in one step.
constexpr int kTableStep = kLanes * kDepthGroup;

// sums[c] = input * column first + c, c < kColumns: as many chains, which share the inputs.
template <int kColumns>
inline void dot_columns(const GatheredS8Args& args, const uint8_t* input, int first, int32_t* sums) {
  const int stride = table_stride(args.depth);
  const int8_t* columns[kColumns];
  IntVec acc[kColumns];
  for (int c = 0; c < kColumns; ++c) {
    columns[c] = args.panels + static_cast<int64_t>(args.rows[first + c]) * stride;
    acc[c] = broadcast(0);
  }
  for (int k = 0; k < stride; k += kTableStep) {
    const InputVector x = load_inputs(input + k * kInputSize);
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) acc[c] = dot(x, load_weights(columns[c] + k), acc[c]);
  }
  for (int c = 0; c < kColumns; ++c) sums[c] = sum_lanes(acc[c]);
}

// Asks for a vector of columns: the processor cannot foresee where they lie. 64 columns ahead and into L2 was
// best of 4 to 64 and of all levels (1,000 columns of 256 from L3, EPYC (Zen 4): 11 -> 8.5 us).
constexpr int kColumnsAhead = 64;
inline void prefetch_columns(const GatheredS8Args& args, int first) {
  const int stride = table_stride(args.depth);
  const int end = first + kLanes < args.num_columns ? first + kLanes : args.num_columns;
  for (int c = first; c < end; ++c) {
    const int8_t* column = args.panels + static_cast<int64_t>(args.rows[c]) * stride;
    for (int k = 0; k < stride; k += kTableStep) __builtin_prefetch(column + k, 0, 2);
  }
}

void gathered_s8(const GatheredS8Args& args) noexcept {
  constexpr int kColumns = 4;
  alignas(64) int32_t sums[kLanes];
  for (int first = 0; first < args.num_columns; first += kLanes) {
    const int left = args.num_columns - first, n = left < kLanes ? left : kLanes;
    prefetch_columns(args, first + kColumnsAhead);
    for (int row = 0; row < args.num_rows; ++row) {
      const uint8_t* input = args.input + row * quantized_stride(args.depth);
      int c = 0;
      for (; c + kColumns <= n; c += kColumns) dot_columns<kColumns>(args, input, first + c, sums + c);
      for (; c < n; ++c) dot_columns<1>(args, input, first + c, sums + c);
      alignas(64) int32_t starts[kLanes];
      store(starts, S8Product::start(args, first));
      for (c = 0; c < n; ++c) sums[c] += starts[c];
      finish_columns<S8Product, 1>(args, row, first, sums, kLanes);
    }
  }
}
