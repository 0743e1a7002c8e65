// Rows times a packed weight: one overload for each type of weight, chosen once for a whole product.
#pragma once

#include <cstdint>
#include <exception>
#include <utility>

#include "base/function_ref.h"
#include "base/parallel.h"
#include "base/thread_pool.h"
#include "base/workspace.h"
#include "kernels/kernels.h"
#include "model/weights.h"

namespace pyengine {

// Thrown by a forward pass that nobody waits for any more.
struct GivenUp : std::exception {
  const char* what() const noexcept override { return "given up"; }
};

// What a forward pass computes with. The workspace is reset by whoever starts the pass.
struct Runtime {
  // Whether the pass is to be given up.
  using Ask = FunctionRef<bool()>;

  const Kernels& kernels;
  ThreadPool& pool;
  int num_threads;
  Workspace& workspace;
  const Ask* give_up = nullptr;  // asked before each product; null: never

  // Throws GivenUp.
  void check() const {
    if (give_up != nullptr && (*give_up)()) throw GivenUp();
  }
};

// Rows as the kernel of a float weight takes them.
struct FloatRows {
  const float* values;  // [num_rows, depth]
};

// Rows as the kernel of an int8 weight takes them.
struct QuantizedRows {
  const std::uint8_t* values;  // [num_rows][quantized_stride(depth)]
  const float* scales;         // [num_rows]
  const std::int32_t* sums;    // [num_rows] of the integers
};

// The rows of input [num_rows, depth] for a product with `panels`. Quantised rows lie in the workspace.
inline FloatRows prepare_rows(const Runtime&, const PanelsF32&, const float* input, int, int) {
  return {input};
}
inline FloatRows prepare_rows(const Runtime&, const PanelsBf16&, const float* input, int, int) {
  return {input};
}
QuantizedRows quantize_rows(const Runtime& runtime, const float* input, int num_rows, int depth);
inline QuantizedRows prepare_rows(const Runtime& runtime, const PanelsS8&, const float* input, int num_rows,
                                  int depth) {
  return quantize_rows(runtime, input, num_rows, depth);
}
inline QuantizedRows prepare_rows(const Runtime& runtime, const GatheredS8&, const float* input, int num_rows,
                                  int depth) {
  return quantize_rows(runtime, input, num_rows, depth);
}

// What the product with a type of weight takes.
template <class Type>
using RowsOf =
    decltype(prepare_rows(std::declval<const Runtime&>(), std::declval<const Type&>(), nullptr, 0, 0));

// Multiplies rows first_row ... with the columns from first_column on, which begins a panel; `args` says how
// many of both, and takes bias, residual and output of that block.
void multiply_block(const Kernels& kernels, const PanelsF32& panels, const FloatRows& rows, int first_row,
                    int first_column, const GemmArgs& args);
void multiply_block(const Kernels& kernels, const PanelsBf16& panels, const FloatRows& rows, int first_row,
                    int first_column, const GemmArgs& args);
void multiply_block(const Kernels& kernels, const PanelsS8& panels, const QuantizedRows& rows, int first_row,
                    int first_column, const GemmArgs& args);
void multiply_block(const Kernels& kernels, const GatheredS8& columns, const QuantizedRows& rows,
                    int first_row, int first_column, const GemmArgs& args);

}  // namespace pyengine
