// Matrix product with packed weights. Lanes run over output columns and each output is one chain of FMAs
// over the depth, so the tile that computes it leaves no trace in its bits.
#pragma once

#include "kernels/math-inl.h"

// Rows whose input stays in the second-level cache (96 x 512 floats = 192 KB) while all panels pass by.
constexpr int kGemmRowBlock = 96;

// sums[row][v * kLanes ...] = input[row] * (vectors first_vector + v of the panels), v < kVectors.
//
// Prefetch, measured on one core of an EPYC (Zen 5), depth 512: few rows wait for weights, and reading
// 2 KB ahead in the same stream gives 15 % (4 rows, weights in L3 or memory). More rows are bound by
// arithmetic, but the first tile of each panel waits for memory unless the panel before it brings it to
// L2: 58,101 columns, 12 rows 125 -> 205 GFLOP/s, 32 rows 181 -> 227. Past the weights it does no harm.
template <int kRows, int kVectors>
inline void gemm_tile(const GemmArgs& args, const float* input, int first_vector, float* sums) {
  constexpr int kVectorsPerPanel = kPanelWidth / kLanes;
  constexpr int kPanels = kVectors > kVectorsPerPanel ? kVectors / kVectorsPerPanel : 1;
  constexpr bool kReadBound = kRows <= kReadBoundRows;
  const int64_t panel_size = static_cast<int64_t>(args.depth) * kPanelWidth;
  const int64_t stride = args.input_stride;
  const float* weights =
      args.panels + first_vector / kVectorsPerPanel * panel_size + first_vector % kVectorsPerPanel * kLanes;
  const int64_t ahead = kReadBound ? 512 : kPanels * panel_size;
  Vec acc[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) acc[r][v] = zero();
  }
  for (int k = 0; k < args.depth; ++k) {
    Vec w[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const float* at = weights + v / kVectorsPerPanel * panel_size + v % kVectorsPerPanel * kLanes;
      w[v] = load(at);
      __builtin_prefetch(at + ahead, 0, kReadBound ? 3 : 2);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec x = broadcast(input[r * stride + k]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) acc[r][v] = fma(x, w[v], acc[r][v]);
    }
    weights += kPanelWidth;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) store(sums + (r * kVectors + v) * kLanes, acc[r][v]);
  }
}

// Bias, activation and residual of one vector of outputs; n < kLanes at the right edge.
inline void finish_vector(const GemmArgs& args, int row, int column, int n, const float* sums) {
  const int64_t at = row * args.output_stride + column;
  Vec y = activate(args.activation, add(load(sums), load_first(args.bias + column, n)));
  if (args.residual) y = add(y, load_first(args.residual + at, n));
  store_first(args.output + at, n, y);
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
template <int kRows, int kVectors>
inline void gemm_columns(const GemmArgs& args, int row, int first_vector, int count) {
  alignas(64) float sums[kRows * kVectors * kLanes];
  for (; count >= kVectors; count -= kVectors, first_vector += kVectors) {
    prefetch_output<kRows, kVectors>(args, row, first_vector * kLanes);
    gemm_tile<kRows, kVectors>(args, args.input + row * args.input_stride, first_vector, sums);
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        const int column = (first_vector + v) * kLanes;
        const int left = args.num_columns - column;
        finish_vector(args, row + r, column, left < kLanes ? left : kLanes,
                      sums + (r * kVectors + v) * kLanes);
      }
    }
  }
  if constexpr (kVectors > 1) {
    if (count > 0) gemm_columns<kRows, kVectors / 2>(args, row, first_vector, count);
  }
}

// Picks the tile made for `rows` rows.
template <int kRows = kGemmRows>
inline void gemm_rows(const GemmArgs& args, int row, int rows, int first_vector, int count) {
  if (rows == kRows) {
    gemm_columns<kRows, gemm_vectors(kRows)>(args, row, first_vector, count);
  } else if constexpr (kRows > 1) {
    gemm_rows<kRows - 1>(args, row, rows, first_vector, count);
  }
}

// Size of part `part` of `total`, cut into `parts` of sizes that differ by at most 1, the larger ones first.
inline int part_size(int total, int part, int parts) { return (total - part + parts - 1) / parts; }

// All columns of a block of rows: panels outside, so that each stays in cache while the row tiles pass.
inline void gemm_block(const GemmArgs& args, int row, int rows) {
  const int num_vectors = (args.num_columns + kLanes - 1) / kLanes;
  // Tiles of nearly equal height: 13 rows are 7 + 6, since one of 1 row would wait for its own FMAs.
  const int num_tiles = (rows + kGemmRows - 1) / kGemmRows;
  // Whole panels, and with few rows as many as a tile takes at once.
  const int tile_vectors = gemm_vectors(part_size(rows, 0, num_tiles));
  const int group = tile_vectors > 2 ? tile_vectors : 2;
  for (int first = 0; first < num_vectors; first += group) {
    const int count = num_vectors - first < group ? num_vectors - first : group;
    for (int t = 0, at = row; t < num_tiles; ++t) {
      const int tile_rows = part_size(rows, t, num_tiles);
      gemm_rows(args, at, tile_rows, first, count);
      at += tile_rows;
    }
  }
}

void gemm_f32(const GemmArgs& args) noexcept {
  // Blocks are nearly equal too, but whole tiles: 4 rows left over would read all weights again to do
  // little with them.
  const int num_blocks = (args.num_rows + kGemmRowBlock - 1) / kGemmRowBlock;
  if (num_blocks == 0) return;
  const int tiles = (part_size(args.num_rows, 0, num_blocks) + kGemmRows - 1) / kGemmRows;
  const int block = tiles * kGemmRows;
  for (int row = 0; row < args.num_rows; row += block) {
    gemm_block(args, row, args.num_rows - row < block ? args.num_rows - row : block);
  }
}
