#include "model/product.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/pack.h"

namespace pyengine {
namespace {

// Multiply-adds that quantising one entry is worth: two passes over the row.
constexpr int kQuantizeWork = 4;

// GemmF32Args and GemmBf16Args differ only in the type of their panels.
template <class Args, class Value>
Args float_args(const Array<Value>& panels, const FloatRows& rows, int first_row, int first_column,
                const GemmArgs& args) {
  PE_DCHECK(first_column % kPanelWidth == 0);
  PE_DCHECK(packed_size(args.depth, first_column + args.num_columns) <= std::ssize(panels));
  Args result{args, nullptr, args.depth, nullptr};
  result.input = rows.values + static_cast<std::int64_t>(first_row) * args.depth;
  result.panels = panels.data() + static_cast<std::int64_t>(first_column) * args.depth;
  return result;
}

// What PanelsS8 and GatheredS8 share; `weights` are those that the product begins with.
template <class Columns>
GemmS8Args s8_args(const Columns& columns, const std::int8_t* weights, const QuantizedRows& rows,
                   int first_row, int first_column, const GemmArgs& args) {
  PE_DCHECK(first_column % kPanelWidth == 0);
  PE_DCHECK(first_column + args.num_columns <= std::ssize(columns.scales));
  return {args,
          rows.values + first_row * quantized_stride(args.depth),
          rows.scales + first_row,
          rows.sums + first_row,
          weights,
          columns.scales.data() + first_column,
          columns.zero_points.data() + first_column,
          columns.column_sums.data() + first_column};
}

}  // namespace

QuantizedRows quantize_rows(const Runtime& runtime, const float* input, int num_rows, int depth) {
  const std::int64_t stride = quantized_stride(depth);
  auto* values = runtime.workspace.take<std::uint8_t>(num_rows * stride);
  auto* scales = runtime.workspace.take<float>(num_rows);
  auto* sums = runtime.workspace.take<std::int32_t>(num_rows);
  const std::int64_t work = static_cast<std::int64_t>(num_rows) * depth * kQuantizeWork;
  const int parts = num_parts(work, runtime.num_threads, num_rows);
  runtime.pool.run(parts, runtime.num_threads, [&](int part, int) {
    const int first = part_begin(num_rows, part, parts);
    runtime.kernels.quantize(input + static_cast<std::int64_t>(first) * depth, depth,
                             part_begin(num_rows, part + 1, parts) - first, depth, values + first * stride,
                             scales + first, sums + first);
  });
  return {values, scales, sums};
}

void multiply_block(const Kernels& kernels, const PanelsF32& panels, const FloatRows& rows, int first_row,
                    int first_column, const GemmArgs& args) {
  kernels.gemm_f32(float_args<GemmF32Args>(panels.values, rows, first_row, first_column, args));
}

void multiply_block(const Kernels& kernels, const PanelsBf16& panels, const FloatRows& rows, int first_row,
                    int first_column, const GemmArgs& args) {
  kernels.gemm_bf16(float_args<GemmBf16Args>(panels.values, rows, first_row, first_column, args));
}

void multiply_block(const Kernels& kernels, const PanelsS8& panels, const QuantizedRows& rows, int first_row,
                    int first_column, const GemmArgs& args) {
  PE_DCHECK(packed_size_s8(args.depth, first_column + args.num_columns) <= std::ssize(panels.values));
  const std::int64_t groups = (args.depth + kDepthGroup - 1) / kDepthGroup;
  kernels.gemm_s8(s8_args(panels, panels.values.data() + first_column * groups * kDepthGroup, rows, first_row,
                          first_column, args));
}

void multiply_block(const Kernels& kernels, const GatheredS8& columns, const QuantizedRows& rows,
                    int first_row, int first_column, const GemmArgs& args) {
  PE_DCHECK(std::all_of(columns.rows.data() + first_column,
                        columns.rows.data() + first_column + args.num_columns, [&](std::int32_t row) {
                          return row >= 0 &&
                                 (row + 1) * table_stride(args.depth) <= std::ssize(columns.table);
                        }));
  kernels.gathered_s8({s8_args(columns, columns.table.data(), rows, first_row, first_column, args),
                       columns.rows.data() + first_column});
}

}  // namespace pyengine
