// The maths of the engine on raw views: one table of function pointers for each instruction set.
//
// Rules that make a result equal on every instruction set, at every batch size and thread count
// (see "Numerics" in csrc/README.md):
//   - a vector is 16 float lanes everywhere: one zmm, two ymm, or an array of 16;
//   - every output element is one chain of fused multiply-adds over its own inputs in index order,
//     whatever the tile that computes it;
//   - a sum across lanes uses one fixed tree; exp, erf and log are our own.
// Kernels are noexcept, allocate nothing and never start threads: the caller splits the work.
#pragma once

#include <cstdint>

namespace pyengine {

// Float lanes of a vector, on every instruction set.
inline constexpr int kLanes = 16;

// Output columns in one panel of a packed weight. Constant: the packed layout is the same everywhere.
inline constexpr int kPanelWidth = 32;

enum class Activation { kNone, kRelu, kSilu, kGelu, kGeluTanh, kTanh };

// The upper half of a float32: a weight of half the bytes that widens to float32 exactly.
struct Bfloat16 {
  std::uint16_t bits;
};

// Two bfloat16 in one 32-bit lane, the first in its lower half: one load gives two vectors of floats.
struct Bf16Pair {
  std::uint32_t bits;
};

// What the matrix products of every weight type share, for a block of rows and whole panels:
// output = activation(input * weight + bias) + residual.
struct GemmArgs {
  int num_rows;
  int depth;          // rows of the weight, K
  int num_columns;    // columns to write, counted from the first panel
  const float* bias;  // [num_columns]
  Activation activation;
  const float* residual;  // [num_rows, num_columns], rows output_stride apart, or null; may be output
  float* output;          // [num_rows, num_columns], rows output_stride apart
  std::int64_t output_stride;
};

struct GemmF32Args : GemmArgs {
  const float* input;  // [num_rows, depth], rows input_stride apart
  std::int64_t input_stride;
  const float* panels;  // [ceil(num_columns / kPanelWidth)][depth][kPanelWidth], zero padded
};

// The same sums as GemmF32Args of the widened weights, to the bit.
struct GemmBf16Args : GemmArgs {
  const float* input;  // [num_rows, depth], rows input_stride apart
  std::int64_t input_stride;
  const Bfloat16* panels;  // as in GemmF32Args
};

// Inputs of the depth that meet in one 32-bit lane of an int8 product.
inline constexpr int kDepthGroup = 4;

// Bytes of one quantised row of inputs: up to two for each input, whole vectors of them, and a line more, so
// that rows of a power of two do not fall into the same set of a cache.
constexpr std::int64_t quantized_stride(int depth) { return (depth + std::int64_t{31}) / 32 * 64 + 64; }

// The sums of input * (weight - zero point) of int8 inputs and weights, exact in int32: then
// output = activation(fma(float(sum), input_scale * weight_scale, bias)) + residual.
struct GemmS8Args : GemmArgs {
  const std::uint8_t*
      input;  // [num_rows][quantized_stride(depth)] as Kernels::quantize of this table wrote it
  const float* input_scales;       // [num_rows]
  const std::int32_t* input_sums;  // [num_rows] of the integers
  const std::int8_t*
      panels;  // [ceil(num_columns / kPanelWidth)][ceil(depth / 4)][kPanelWidth][4], zero padded
  const float* weight_scales;       // [num_columns]
  const std::int32_t* zero_points;  // [num_columns], 0 of a symmetric column
  const std::int32_t*
      column_sums;  // [num_columns] of the weights, which takes an offset of the inputs out again
};

// Bytes of a column of `depth` in a table of GatheredS8Args.
constexpr int table_stride(int depth) { return (depth + 63) / 64 * 64; }

// The same product, to the bit, for columns that lie apart: `panels` is a table of columns
// [any number][table_stride(depth)], zero padded, of which column i is row rows[i].
struct GatheredS8Args : GemmS8Args {
  const std::int32_t* rows;  // [num_columns]
};

// Keys of kLanes consecutive positions, stored transposed: floats [head][head_dim][kLanes], or Bf16Pairs
// [head][head_dim / 2][kLanes] of dimensions 2 d and 2 d + 1.
// A block of positions may come in several segments (a beam whose ancestors sat in different rows):
// the lanes of each are taken from it, so a search reorders its beams without copying keys.
struct KeySegment {
  const void* keys;     // layer 0, head 0
  std::int32_t block;   // positions block * kLanes ... + kLanes - 1
  std::uint32_t lanes;  // bit l: this segment holds position block * kLanes + l
};

// Rows of scores that attention works on at once at most.
inline constexpr int kAttentionRows = 4;

// Scaled dot-product attention of several heads, for queries that see the same keys:
// softmax(scale * q k^T) v, "Attention Is All You Need" 3.2.1. Query i sees positions 0 ... num_keys[i] - 1.
// The biased kernels add a number to each scaled score, Raffel et al. 2020, section 2.1.
struct AttentionArgs {
  const float* query;  // [num_queries, num_heads * head_dim], rows query_stride apart
  std::int64_t query_stride;
  int num_queries;
  int num_heads;
  int head_dim;
  float scale;
  const std::int32_t* num_keys;  // [num_queries], each >= 1
  const KeySegment* segments;    // ordered by block; the lanes of a block's segments are disjoint
  int num_segments;
  std::int64_t key_offset;         // added to each segment's keys: this layer and first head
  std::int64_t key_head_stride;    // from a head's keys to the next head's
  const void* const* values;       // [max num_keys] row of each position, layer 0, head 0
  std::int64_t value_offset;       // added to each row: this layer and first head; then [head_dim]
  std::int64_t value_head_stride;  // from a head's part of a row to the next head's
  const float* const* biases;      // [num_queries] biased kernels: those of positions 0, 1, ..., head 0
  std::int64_t bias_offset;        // added to each: this call's first head
  std::int64_t bias_head_stride;   // from a head's biases to the next head's
  float* scores;                   // scratch, 64-byte aligned: [kAttentionRows][scores_stride]
  std::int64_t scores_stride;      // >= max num_keys rounded up to kLanes; a multiple of kLanes
  float* output;                   // [num_queries, num_heads * head_dim], rows output_stride apart
  std::int64_t output_stride;
};

// The largest entry and the sum of exp(entry - largest) of a run of logits.
struct MaxSum {
  float max;
  float sum;
};

struct Kernels {
  const char* name;  // "scalar", "avx2", "avxvnni", "avx512", "avx512vnni"

  void (*gemm_f32)(const GemmF32Args& args) noexcept;
  void (*gemm_bf16)(const GemmBf16Args& args) noexcept;
  void (*gemm_s8)(const GemmS8Args& args) noexcept;
  void (*gathered_s8)(const GatheredS8Args& args) noexcept;

  // Symmetric int8 of each row of input [num_rows, depth], rows input_stride apart: scale = largest |x| /
  // 127, quantized[i] = round(x[i] * (127 / largest)) to nearest even, in the form that this table's gemm_s8
  // reads: bytes with 128 added where its instruction wants unsigned inputs, int16 where it wants these. A
  // row whose largest is below 1e-30 has scale 0, one that is not finite scale NaN; both have zeros.
  // quantized [num_rows][quantized_stride(depth)]; what is past depth meets weights of 0. scales [num_rows].
  // sums [num_rows] of the integers.
  void (*quantize)(const float* input, std::int64_t input_stride, int num_rows, int depth,
                   std::uint8_t* quantized, float* scales, std::int32_t* sums) noexcept;

  // Keys and values are floats, or Bf16Pairs that are widened and computed as floats; head_dim is a multiple
  // of 32 then, and of a head's values pair 16 i + l holds dimensions 32 i + l and 32 i + 16 + l. Offsets and
  // strides count floats or pairs.
  void (*attention_f32)(const AttentionArgs& args) noexcept;
  void (*attention_bf16)(const AttentionArgs& args) noexcept;
  void (*attention_biased_f32)(const AttentionArgs& args) noexcept;
  void (*attention_biased_bf16)(const AttentionArgs& args) noexcept;

  // Layer normalisation over the last axis, Ba et al. 2016: (x - mean) / sqrt(var + epsilon) * gamma + beta,
  // rows contiguous [num_rows, size]; output may be input.
  void (*layer_norm)(const float* input, int num_rows, int size, const float* gamma, const float* beta,
                     float epsilon, float* output) noexcept;

  // Root mean square normalisation, Zhang and Sennrich 2019: x / sqrt(mean(x^2) + epsilon) * gamma, rows as
  // in layer_norm.
  void (*rms_norm)(const float* input, int num_rows, int size, const float* gamma, float epsilon,
                   float* output) noexcept;

  // A gated linear unit, Shazeer 2020: output = activation(gate) * value, of rows [2 * size] that hold the
  // gate and then the value; output [num_rows, size].
  void (*gate)(const float* gate_and_value, int num_rows, int size, Activation activation,
               float* output) noexcept;

  // output[i] = token[i] * scale + position[i], multiplied and added with two roundings as the exporters do.
  void (*embed)(const float* token, float scale, const float* position, int size, float* output) noexcept;

  // Rotary positions, Su et al. 2021: turns each pair (x[i], x[i + head_dim / 2]) of num_heads heads
  // [num_heads, head_dim] by the angle whose cosine is angles[i] and whose sine angles[head_dim / 2 + i].
  void (*rotate)(const float* angles, int num_heads, int head_dim, float* heads) noexcept;

  // One step of a simple recurrent unit, Kim et al. 2019, section 2.2: with g = sigmoid(gate),
  // state = g * state + (1 - g) * input; hidden += relu(state). All [size].
  void (*ssru)(const float* input, const float* gate, int size, float* state, float* hidden) noexcept;

  // Maximum and sum of exponentials of logits[0 ... size - 1]; entries of -inf count nothing. If every
  // entry is -inf: {-inf, 0}.
  MaxSum (*max_sum_exp)(const float* logits, int size) noexcept;

  // log(sum_i sums[i] * exp(maxes[i] - m)) + m with m = max(maxes), added in a fixed order: the
  // log-sum-exp of the runs whose MaxSum these are.
  float (*log_sum_exp)(const MaxSum* runs, int num_runs) noexcept;

  // Merges logits[0 ... size - 1], whose ids are first_id + index, into the best `k` seen so far:
  // top_values/top_ids [k], descending, equal values by lower id; the first call starts from
  // top_values all -inf and top_ids all -1. Entries of -inf never enter. Runs come in ascending id order.
  void (*top_k)(const float* logits, int size, std::int32_t first_id, int k, float* top_values,
                std::int32_t* top_ids) noexcept;
};

}  // namespace pyengine
