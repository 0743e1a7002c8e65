// Matrix product of int8 inputs and weights, exact in int32, and the quantisation of its inputs. Written on
// the dot product of dot_*.h: for each lane, four inputs times the four weights of its column.
#pragma once

#include "kernels/gemm-inl.h"

struct S8Product {
  using Args = GemmS8Args;
  using Tiles = IntTiles;
  using Weight = int8_t;
  using Operand = Weights;
  using Acc = IntVec;
  using Sum = int32_t;
  static constexpr int kGroup = kDepthGroup;
  static constexpr int kInputStep = kDepthGroup * kInputSize;

  static int64_t input_stride(const Args& args) { return quantized_stride(args.depth); }

  // Takes out what the offset of the inputs will add.
  static IntVec start(const Args& args, int column) {
    if constexpr (kInputOffset == 0) {
      return broadcast(0);
    } else {
      const int left = args.num_columns - column;
      return mul(load_up_to(args.column_sums + column, left < kLanes ? left : kLanes),
                 broadcast(-kInputOffset));
    }
  }

  static Inputs inputs(const uint8_t* p) { return broadcast_inputs(p); }
  static Weights weights(const int8_t* p) { return load_weights(p); }
  static IntVec multiply_add(Inputs x, Weights w, IntVec acc) { return dot(x, w, acc); }

  // A sum over input * (weight - zero point) is that over input * weight less the zero point times the
  // inputs.
  struct Columns {
    Vec bias, scales;
    IntVec zero_points;
    // gcc would call it, for 1.3 % of the demo model's time.
    __attribute__((always_inline)) Columns(const Args& args, int column, int n)
        : bias(load_up_to(args.bias + column, n)),
          scales(load_up_to(args.weight_scales + column, n)),
          zero_points(load_up_to(args.zero_points + column, n)) {}
    Vec finish(const Args& args, int row, IntVec sums) const {
      const IntVec exact = sub(sums, mul(broadcast(args.input_sums[row]), zero_points));
      return fma(to_float(exact), mul(broadcast(args.input_scales[row]), scales), bias);
    }
  };
};

void gemm_s8(const GemmS8Args& args) noexcept { gemm<S8Product>(args); }

// The bits of the largest magnitude of a row. As integers, magnitudes keep their order and NaN is the
// largest.
inline int32_t largest_magnitude(const float* x, int size) {
  IntVec largest = broadcast(0);
  for_each_vector(size, [&](int i, int n) { largest = max(bits(abs(load_up_to(x + i, n))), largest); });
  return max_lanes(largest);
}

struct RowScale {
  float scale;
  int32_t sum;  // of the integers
};

inline RowScale quantize_row(const float* x, int depth, uint8_t* quantized) {
  const int32_t largest_bits = largest_magnitude(x, depth);
  float largest;
  memcpy(&largest, &largest_bits, sizeof(largest));
  if (!(largest >= 1e-30f && largest < kInfinity)) {
    memset(quantized, kInputOffset, quantized_stride(depth));
    return {largest < 1e-30f ? 0.0f : kInfinity - kInfinity, 0};
  }
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the sum, rounded once.
  const float rounding = 12582912.0f + kInputOffset;
  const Vec round = broadcast(rounding), inverse = broadcast(127.0f / largest);
  // Every vector adds the bits of `round` to the sums: they are taken out beforehand, modulo 2^32.
  uint32_t round_bits;
  memcpy(&round_bits, &rounding, sizeof(round_bits));
  const uint32_t num_vectors = (static_cast<uint32_t>(depth) + kLanes - 1) / kLanes;
  IntVec sums = broadcast(static_cast<int32_t>(0u - num_vectors * round_bits));
  for_each_vector(depth, [&](int i, int n) {
    const Vec rounded = fma(load_up_to(x + i, n), inverse, round);
    store_inputs(quantized + i * kInputSize, rounded);
    sums = add(sums, bits(rounded));
  });
  return {largest / 127.0f, sum_lanes(sums)};
}

void quantize(const float* input, int64_t input_stride, int num_rows, int depth, uint8_t* quantized,
              float* scales, int32_t* sums) noexcept {
  for (int row = 0; row < num_rows; ++row) {
    const RowScale of_row =
        quantize_row(input + row * input_stride, depth, quantized + row * quantized_stride(depth));
    scales[row] = of_row.scale;
    sums[row] = of_row.sum;
  }
}
