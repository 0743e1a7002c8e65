// The steps a layer is written in: a product with a weight, a norm and a gate, split over the threads.
#pragma once

#include "model/product.h"

namespace pyengine {

// output = activation(input W + b) + residual; residual may be null or output itself.
// input [num_rows, in_features], residual and output [num_rows, out_features].
void linear(const Runtime& runtime, const Linear& weight, const float* input, int num_rows,
            Activation activation, const float* residual, float* output);

// output = input normalised, both [num_rows, size]; output may be input.
void normalize(const Runtime& runtime, const Norm& norm, const ModelConfig& config, const float* input,
               int num_rows, float* output);

// output = activation(gate) * value for rows [2 * size] of gate and value; output [num_rows, size].
void gate(const Runtime& runtime, const float* gate_and_value, int num_rows, int size, Activation activation,
          float* output);

// output[i] = scale * tokens[ids[i]] + positions[position_ids[i]], [num_rows, hidden_size], then normalised
// where the model does that; "Attention Is All You Need" 3.4 and 3.5, with the model's own table of positions
// or none.
void embed(const Runtime& runtime, const Embedding& embedding, const ModelConfig& config,
           const std::int32_t* ids, const std::int32_t* position_ids, int num_rows, float* output);

}  // namespace pyengine
