// The tiles of a matrix product with packed weights, whatever their type. Lanes run over output columns and
// each output is one sum over the depth in order, so the tile that computes it leaves no trace in its bits.
//
// A `Product` tells what differs (gemm_f32-inl.h is the shortest): its Args, the types of a Weight and a Sum,
// how many inputs of the depth one step takes (kGroup) and how far that is in memory (kInputStep), and start,
// inputs, weights, multiply_add, Columns and finish.
#pragma once

#include "kernels/math-inl.h"
#include "kernels/partial-inl.h"

// Rows whose input stays in the second-level cache (96 x 512 floats = 192 KB) while all panels pass by.
constexpr int kGemmRowBlock = 96;

// sums[row][v * kLanes ...] = input[row] * (vectors first_vector + v of the panels), v < kVectors.
//
// Each tile asks for the weights of the next one: else the arithmetic of one panel and the reading of the
// next do not overlap (12 rows x 58,101 columns on an EPYC (Zen 5): 125 -> 205 GFLOP/s). Past the weights it
// does no harm. One row is nothing but reading: there it asks for every second line, whose neighbour the
// processor brings along (EPYC (Zen 4), int8: weights in L2 85 -> 100 GB/s against every line, in memory the
// same). Other distances, and none, were slower for weights in memory or no faster.
template <typename Product, int kRows, int kVectors>
inline void gemm_tile(const typename Product::Args& args, int row, int first_vector,
                      typename Product::Sum* sums) {
  using Weight = typename Product::Weight;
  constexpr int kGroup = Product::kGroup;
  constexpr int kVectorSize = kLanes * kGroup, kStepSize = kPanelWidth * kGroup;
  constexpr int kVectorsPerPanel = kPanelWidth / kLanes;
  constexpr int kPanels = kVectors > kVectorsPerPanel ? kVectors / kVectorsPerPanel : 1;
  constexpr int kVectorsPerPrefetch = kRows == 1 ? kVectorsPerPanel : 64 / (kVectorSize * sizeof(Weight));
  const int num_steps = (args.depth + kGroup - 1) / kGroup;
  const int64_t panel_size = static_cast<int64_t>(num_steps) * kStepSize;
  const int64_t stride = Product::input_stride(args);
  const auto* input = args.input + row * stride;
  const Weight* weights = args.panels + first_vector / kVectorsPerPanel * panel_size +
                          first_vector % kVectorsPerPanel * kVectorSize;
  typename Product::Acc acc[kRows][kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) {
    acc[0][v] = Product::start(args, (first_vector + v) * kLanes);
#pragma GCC unroll 16
    for (int r = 1; r < kRows; ++r) acc[r][v] = acc[0][v];
  }
  for (int step = 0; step < num_steps; ++step) {
    typename Product::Operand w[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const Weight* at = weights + v / kVectorsPerPanel * panel_size + v % kVectorsPerPanel * kVectorSize;
      w[v] = Product::weights(at);
      if (v % kVectorsPerPrefetch == 0) __builtin_prefetch(at + kPanels * panel_size, 0, 2);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const auto x = Product::inputs(input + r * stride);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) acc[r][v] = Product::multiply_add(x, w[v], acc[r][v]);
    }
    input += Product::kInputStep;
    weights += kStepSize;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) store(sums + (r * kVectors + v) * kLanes, acc[r][v]);
  }
}

// One vector of columns of kRows rows from their sums, rows `stride` apart, to the output.
template <typename Product, int kRows>
inline void finish_columns(const typename Product::Args& args, int row, int column,
                           const typename Product::Sum* sums, int stride) {
  const int left = args.num_columns - column;
  const int n = left < kLanes ? left : kLanes;
  const typename Product::Columns columns(args, column, n);
  for (int r = 0; r < kRows; ++r) {
    const int64_t at = (row + r) * args.output_stride + column;
    Vec y = activate(args.activation, columns.finish(args, row + r, load(sums + r * stride)));
    if (args.residual) y = add(y, load_up_to(args.residual + at, n));
    store_up_to(args.output + at, n, y);
  }
}

// Output rows lie on separate pages: asking for them before the sums are done hides the misses of the
// stores (512 rows, depth 512, 2,048 columns: 225 -> 250 GFLOP/s).
template <int kRows, int kVectors>
inline void prefetch_output(const GemmArgs& args, int row, int column) {
  for (int r = 0; r < kRows; ++r) {
    const float* at = args.output + (row + r) * args.output_stride + column;
    for (int v = 0; v < kVectors; ++v) __builtin_prefetch(at + v * kLanes, 1, 3);
  }
}

// Rows row ... row + kRows - 1 of `count` vectors of columns; what is left of a group of kVectors goes
// to a tile half as wide.
template <typename Product, int kRows, int kVectors>
inline void gemm_columns(const typename Product::Args& args, int row, int first_vector, int count) {
  alignas(64) typename Product::Sum sums[kRows * kVectors * kLanes];
  for (; count >= kVectors; count -= kVectors, first_vector += kVectors) {
    prefetch_output<kRows, kVectors>(args, row, first_vector * kLanes);
    gemm_tile<Product, kRows, kVectors>(args, row, first_vector, sums);
    for (int v = 0; v < kVectors; ++v) {
      finish_columns<Product, kRows>(args, row, (first_vector + v) * kLanes, sums + v * kLanes,
                                     kVectors * kLanes);
    }
  }
  if constexpr (kVectors > 1) {
    if (count > 0) gemm_columns<Product, kRows, kVectors / 2>(args, row, first_vector, count);
  }
}

// Picks the tile made for `rows` rows.
template <typename Product, int kRows = Product::Tiles::kRows>
inline void gemm_rows(const typename Product::Args& args, int row, int rows, int first_vector, int count) {
  if (rows == kRows) {
    gemm_columns<Product, kRows, Product::Tiles::vectors(kRows)>(args, row, first_vector, count);
  } else if constexpr (kRows > 1) {
    gemm_rows<Product, kRows - 1>(args, row, rows, first_vector, count);
  }
}

// Size of part `part` of `total`, cut into `parts` of sizes that differ by at most 1, the larger ones first.
inline int part_size(int total, int part, int parts) { return (total - part + parts - 1) / parts; }

// All columns of a block of rows: panels outside, so that each stays in cache while the row tiles pass.
template <typename Product>
inline void gemm_block(const typename Product::Args& args, int row, int rows) {
  using Tiles = typename Product::Tiles;
  const int num_vectors = (args.num_columns + kLanes - 1) / kLanes;
  // Tiles of nearly equal height: 13 rows are 7 + 6, since one of 1 row would wait for its own FMAs.
  const int num_tiles = (rows + Tiles::kRows - 1) / Tiles::kRows;
  // Whole panels, and with few rows as many as a tile takes at once.
  const int tile_vectors = Tiles::vectors(part_size(rows, 0, num_tiles));
  const int group = tile_vectors > 2 ? tile_vectors : 2;
  for (int first = 0; first < num_vectors; first += group) {
    const int count = num_vectors - first < group ? num_vectors - first : group;
    for (int t = 0, at = row; t < num_tiles; ++t) {
      const int tile_rows = part_size(rows, t, num_tiles);
      gemm_rows<Product>(args, at, tile_rows, first, count);
      at += tile_rows;
    }
  }
}

template <typename Product>
inline void gemm(const typename Product::Args& args) {
  constexpr int kRows = Product::Tiles::kRows;
  // Blocks are nearly equal too, but whole tiles: 4 rows left over would read all weights again to do
  // little with them.
  const int num_blocks = (args.num_rows + kGemmRowBlock - 1) / kGemmRowBlock;
  if (num_blocks == 0) return;
  const int tiles = (part_size(args.num_rows, 0, num_blocks) + kRows - 1) / kRows;
  const int block = tiles * kRows;
  for (int row = 0; row < args.num_rows; row += block) {
    gemm_block<Product>(args, row, args.num_rows - row < block ? args.num_rows - row : block);
  }
}
