// The steps a layer is written in: a product with a weight and a layer norm, split over the threads.
#pragma once

#include "model/product.h"

namespace pyengine {

// output = activation(input W + b) + residual; residual may be null or output itself.
// input [num_rows, in_features], residual and output [num_rows, out_features].
void linear(const Runtime& runtime, const Linear& weight, const float* input, int num_rows,
            Activation activation, const float* residual, float* output);

// output = layer norm of input, both [num_rows, size]; output may be input.
void layer_norm(const Runtime& runtime, const LayerNorm& norm, float epsilon, const float* input,
                int num_rows, int size, float* output);

// output[i] = scale * tokens[ids[i]] + positions[position_ids[i]], [num_rows, hidden_size];
// "Attention Is All You Need" 3.4 and 3.5, with the model's own table of positions.
void embed(const Runtime& runtime, const Embedding& embedding, const ModelConfig& config,
           const std::int32_t* ids, const std::int32_t* position_ids, int num_rows, float* output);

}  // namespace pyengine
