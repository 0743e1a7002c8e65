#include "model/operators.h"

#include "base/check.h"
#include "kernels/pack.h"

namespace pyengine {
namespace {

// Multiply-adds that a layer norm of one entry is worth: two passes over memory and a division.
constexpr int kNormWork = 8;

// The same of a gate: an exponential and a division.
constexpr int kGateWork = 32;

struct RowPart {
  int num_rows;
  int size;
};

void normalize_rows(const Kernels& kernels, const LayerNorm& norm, float epsilon, const float* input,
                    RowPart rows, float* output) {
  PE_DCHECK(std::ssize(norm.gamma) == rows.size && std::ssize(norm.beta) == rows.size);
  kernels.layer_norm(input, rows.num_rows, rows.size, norm.gamma.data(), norm.beta.data(), epsilon, output);
}
void normalize_rows(const Kernels& kernels, const RmsNorm& norm, float epsilon, const float* input,
                    RowPart rows, float* output) {
  PE_DCHECK(std::ssize(norm.gamma) == rows.size);
  kernels.rms_norm(input, rows.num_rows, rows.size, norm.gamma.data(), epsilon, output);
}

// The embedding [size] of a token: its column of the table.
void read_token(const PanelsS8& tokens, std::int32_t id, std::int64_t size, float* token) {
  PE_DCHECK(id >= 0 && id < std::ssize(tokens.scales));
  unpack_column(tokens.values.data(), tokens.scales.data()[id], tokens.zero_points.data()[id], size, id,
                token);
}
void read_token(const GatheredS8& tokens, std::int32_t id, std::int64_t size, float* token) {
  PE_DCHECK(id >= 0 && id < std::ssize(tokens.rows));
  const std::int64_t stride = table_stride(static_cast<int>(size));
  const std::int8_t* row = tokens.table.data() + tokens.rows.data()[id] * stride;
  const float scale = tokens.scales.data()[id];
  const float zero = static_cast<float>(tokens.zero_points.data()[id]);  // as in unpack_column
  for (std::int64_t i = 0; i < size; ++i) token[i] = (static_cast<float>(row[i]) - zero) * scale;
}
template <class FloatPanels>
void read_token(const FloatPanels& tokens, std::int32_t id, std::int64_t size, float* token) {
  PE_DCHECK(id >= 0 && packed_size(size, id + 1) <= std::ssize(tokens.values));
  unpack_column(tokens.values.data(), size, id, token);
}

template <class WeightPanels>
void multiply(const Runtime& runtime, const Linear& weight, const WeightPanels& panels, const float* input,
              const GemmArgs& whole) {
  runtime.check();
  const Workspace::Scope scope(runtime.workspace);
  const auto rows = prepare_rows(runtime, panels, input, whole.num_rows, weight.in_features);
  const int num_panels = (weight.out_features + kPanelWidth - 1) / kPanelWidth;
  const std::int64_t work =
      static_cast<std::int64_t>(whole.num_rows) * weight.in_features * weight.out_features;
  // Panels first: then each thread reads its own part of the weight, once.
  const int parts = num_parts(work, runtime.num_threads, num_panels * whole.num_rows);
  const int panel_parts = std::min(parts, num_panels);
  const int row_parts = std::min(whole.num_rows, parts / panel_parts);
  const auto task = [&](int index, int) {
    const int panel_part = index % panel_parts, row_part = index / panel_parts;
    const int first_row = part_begin(whole.num_rows, row_part, row_parts);
    const int first_column = part_begin(num_panels, panel_part, panel_parts) * kPanelWidth;
    const int end_column =
        std::min(weight.out_features, part_begin(num_panels, panel_part + 1, panel_parts) * kPanelWidth);
    const std::int64_t offset = static_cast<std::int64_t>(first_row) * weight.out_features + first_column;
    GemmArgs args = whole;
    args.num_rows = part_begin(whole.num_rows, row_part + 1, row_parts) - first_row;
    args.num_columns = end_column - first_column;
    args.bias += first_column;
    if (args.residual != nullptr) args.residual += offset;
    args.output += offset;
    multiply_block(runtime.kernels, panels, rows, first_row, first_column, args);
  };
  runtime.pool.run(panel_parts * row_parts, runtime.num_threads, task);
}

}  // namespace

void linear(const Runtime& runtime, const Linear& weight, const float* input, int num_rows,
            Activation activation, const float* residual, float* output) {
  PE_DCHECK(num_rows > 0 && std::ssize(weight.bias) == weight.out_features);
  const GemmArgs whole{
      num_rows, weight.in_features, weight.out_features, weight.bias.data(), activation, residual,
      output,   weight.out_features};
  std::visit([&](const auto& panels) { multiply(runtime, weight, panels, input, whole); }, weight.panels);
}

void normalize(const Runtime& runtime, const Norm& norm, const ModelConfig& config, const float* input,
               int num_rows, float* output) {
  const int size = config.hidden_size;
  const std::int64_t work = static_cast<std::int64_t>(num_rows) * size * kNormWork;
  const int parts = num_parts(work, runtime.num_threads, num_rows);
  runtime.pool.run(parts, runtime.num_threads, [&](int part, int) {
    const int first = part_begin(num_rows, part, parts);
    const RowPart rows{part_begin(num_rows, part + 1, parts) - first, size};
    const std::int64_t offset = static_cast<std::int64_t>(first) * size;
    std::visit(
        [&](const auto& kind) {
          normalize_rows(runtime.kernels, kind, config.norm_eps, input + offset, rows, output + offset);
        },
        norm);
  });
}

void gate(const Runtime& runtime, const float* gate_and_value, int num_rows, int size, Activation activation,
          float* output) {
  const std::int64_t work = static_cast<std::int64_t>(num_rows) * size * kGateWork;
  const int parts = num_parts(work, runtime.num_threads, num_rows);
  runtime.pool.run(parts, runtime.num_threads, [&](int part, int) {
    const std::int64_t first = part_begin(num_rows, part, parts);
    runtime.kernels.gate(gate_and_value + first * 2 * size, part_begin(num_rows, part + 1, parts) - first,
                         size, activation, output + first * size);
  });
}

void embed(const Runtime& runtime, const Embedding& embedding, const ModelConfig& config,
           const std::int32_t* ids, const std::int32_t* position_ids, int num_rows, float* output) {
  const std::int64_t size = config.hidden_size;
  std::visit(
      [&](const auto& tokens) {
        for (int row = 0; row < num_rows; ++row) read_token(tokens, ids[row], size, output + row * size);
      },
      embedding.tokens);
  if (config.position_kind == PositionKind::kTable) {
    for (int row = 0; row < num_rows; ++row) {
      float* token = output + row * size;
      const std::int64_t place = config.position_offset + std::int64_t{position_ids[row]};
      PE_DCHECK(place >= 0 && (place + 1) * size <= std::ssize(embedding.positions));
      const float* position = embedding.positions.data() + place * size;
      runtime.kernels.embed(token, config.embed_scale, position, config.hidden_size, token);
    }
  } else if (config.embed_scale != 1.0f) {
    for (std::int64_t i = 0; i < num_rows * size; ++i) output[i] *= config.embed_scale;
  }
  if (embedding.norm) normalize(runtime, *embedding.norm, config, output, num_rows, output);
}

}  // namespace pyengine
