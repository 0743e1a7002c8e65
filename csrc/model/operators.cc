#include "model/operators.h"

namespace pyengine {
namespace {

// Multiply-adds that a layer norm of one entry is worth: two passes over memory and a division.
constexpr int kNormWork = 8;

}  // namespace

void linear(const Runtime& runtime, const Linear& weight, const float* input, int num_rows,
            Activation activation, const float* residual, float* output) {
  const int num_panels = (weight.out_features + kPanelWidth - 1) / kPanelWidth;
  const std::int64_t work = static_cast<std::int64_t>(num_rows) * weight.in_features * weight.out_features;
  // Panels first: then each thread reads its own part of the weight, once.
  const int parts = num_parts(work, runtime.num_threads, num_panels * num_rows);
  const int panel_parts = std::min(parts, num_panels);
  const int row_parts = std::min(num_rows, parts / panel_parts);
  const auto task = [&](int index, int) {
    const int panel_part = index % panel_parts, row_part = index / panel_parts;
    const int first_panel = part_begin(num_panels, panel_part, panel_parts);
    const int first_row = part_begin(num_rows, row_part, row_parts);
    const int first_column = first_panel * kPanelWidth;
    const int end_column =
        std::min(weight.out_features, part_begin(num_panels, panel_part + 1, panel_parts) * kPanelWidth);
    const std::int64_t offset = static_cast<std::int64_t>(first_row) * weight.out_features + first_column;
    GemmF32Args args;
    args.input = input + static_cast<std::int64_t>(first_row) * weight.in_features;
    args.input_stride = weight.in_features;
    args.num_rows = part_begin(num_rows, row_part + 1, row_parts) - first_row;
    args.depth = weight.in_features;
    args.panels = weight.panels.data() + static_cast<std::int64_t>(first_column) * weight.in_features;
    args.num_columns = end_column - first_column;
    args.bias = weight.bias.data() + first_column;
    args.activation = activation;
    args.residual = residual == nullptr ? nullptr : residual + offset;
    args.output = output + offset;
    args.output_stride = weight.out_features;
    runtime.kernels.gemm_f32(args);
  };
  runtime.pool.run(panel_parts * row_parts, runtime.num_threads, task);
}

void layer_norm(const Runtime& runtime, const LayerNorm& norm, float epsilon, const float* input,
                int num_rows, int size, float* output) {
  const std::int64_t work = static_cast<std::int64_t>(num_rows) * size * kNormWork;
  const int parts = num_parts(work, runtime.num_threads, num_rows);
  runtime.pool.run(parts, runtime.num_threads, [&](int part, int) {
    const int first = part_begin(num_rows, part, parts);
    const std::int64_t offset = static_cast<std::int64_t>(first) * size;
    runtime.kernels.layer_norm(input + offset, part_begin(num_rows, part + 1, parts) - first, size,
                               norm.gamma.data(), norm.beta.data(), epsilon, output + offset);
  });
}

void embed(const Runtime& runtime, const Embedding& embedding, const ModelConfig& config,
           const std::int32_t* ids, const std::int32_t* position_ids, int num_rows, float* output) {
  const std::int64_t size = config.hidden_size;
  for (int row = 0; row < num_rows; ++row) {
    runtime.kernels.embed(embedding.tokens->data() + ids[row] * size, config.embed_scale,
                          embedding.positions.data() + position_ids[row] * size, config.hidden_size,
                          output + row * size);
  }
}

}  // namespace pyengine
