// The int8 product of every table, and of AVX-VNNI's in the encoding that more CPUs run, against plain loops.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "cpu/features.h"
#include "cpu/isa.h"
#include "kernels/pack.h"

namespace pyengine {
#ifdef PYENGINE_HAVE_AVX512VNNI
extern const Kernels kEvexVnniKernels;
#endif
}  // namespace pyengine

using namespace pyengine;

namespace {

std::vector<const Kernels*> tables() {
  std::vector<const Kernels*> result;
  for (const std::string& isa : available_isas()) result.push_back(&select_kernels(isa));
#ifdef PYENGINE_HAVE_AVX512VNNI
  if (detect_cpu_features().avx512_vnni) result.push_back(&kEvexVnniKernels);
#endif
  return result;
}

struct Problem {
  int rows, depth, columns;
  std::vector<float> input;               // [rows, depth]
  std::vector<float> weight;              // [depth, columns]
  std::vector<float> bias;                // [columns]
  std::vector<std::int32_t> zero_points;  // [columns]
};

// Entries of -1, 0 and 1 give integers of +-127, the largest; others are uniform in [-1, 1).
Problem problem(int rows, int depth, int columns, bool extreme) {
  std::mt19937 random(rows * 1000 + depth + columns);
  const auto entry = [&] {
    const float x = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
    return extreme ? std::round(x) : x;
  };
  Problem p = {rows, depth, columns, {}, {}, {}, {}};
  for (int i = 0; i < rows * depth; ++i) p.input.push_back(entry());
  for (int i = 0; i < depth * columns; ++i) p.weight.push_back(entry());
  for (int i = 0; i < columns; ++i) p.bias.push_back(entry());
  for (int i = 0; i < columns; ++i) p.zero_points.push_back(i % 256 - 128);
  return p;
}

std::vector<float> product(const Kernels& kernels, const Problem& p) {
  std::vector<std::uint8_t> input(p.rows * quantized_stride(p.depth));
  std::vector<float> input_scales(p.rows), weight_scales(p.columns), output(p.rows * p.columns);
  std::vector<std::int8_t> panels(packed_size_s8(p.depth, p.columns));
  std::vector<std::int32_t> input_sums(p.rows), column_sums(p.columns);
  kernels.quantize(p.input.data(), p.depth, p.rows, p.depth, input.data(), input_scales.data(),
                   input_sums.data());
  pack_s8(p.weight.data(), p.columns, 1, p.depth, p.columns, panels.data(), weight_scales.data(),
          column_sums.data());
  GemmS8Args args = {};
  args.num_rows = p.rows;
  args.depth = p.depth;
  args.num_columns = p.columns;
  args.bias = p.bias.data();
  args.activation = Activation::kGelu;
  args.output = output.data();
  args.output_stride = p.columns;
  args.input = input.data();
  args.input_scales = input_scales.data();
  args.input_sums = input_sums.data();
  args.panels = panels.data();
  args.weight_scales = weight_scales.data();
  args.zero_points = p.zero_points.data();
  args.column_sums = column_sums.data();
  kernels.gemm_s8(args);
  return output;
}

}  // namespace

TEST_CASE("int8 products are equal on every instruction set") {
  for (const bool extreme : {false, true}) {
    for (const int rows : {1, 2, 3, 4, 5, 6, 7, 12, 13, 33}) {
      for (const int depth : {1, 4, 63, 130, 512}) {
        for (const int columns : {1, 16, 45, 129}) {
          const Problem p = problem(rows, depth, columns, extreme);
          const std::vector<float> expected = product(select_kernels("scalar"), p);
          for (const Kernels* kernels : tables()) {
            INFO(std::string(kernels->name), ": ", rows, " x ", depth, " x ", columns);
            REQUIRE(product(*kernels, p) == expected);
          }
        }
      }
    }
  }
}

// As a forged file may say them; under sanitizers nothing may overflow.
TEST_CASE("int8 products take zero points that no quantiser chooses") {
  for (const std::int32_t zero_point : {INT32_MIN, INT32_MAX}) {
    Problem p = problem(3, 63, 45, true);
    std::ranges::fill(p.zero_points, zero_point);
    const std::vector<float> expected = product(select_kernels("scalar"), p);
    for (const Kernels* kernels : tables()) CHECK(product(*kernels, p) == expected);
    const std::int8_t panel[kDepthGroup * kPanelWidth] = {7};
    float row[1];
    unpack_column(panel, 0.5f, zero_point, 1, 0, row);
    CHECK(row[0] == -0.5f * static_cast<float>(zero_point));
  }
}
