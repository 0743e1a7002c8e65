// The submodule _core.kernels: every kernel of every instruction set on NumPy arrays, for tests and
// measurements. Shapes are checked here, since kernels check nothing.
#include "bind/kernels_bind.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/float_environment.h"
#include "bind/kernel_arrays.h"
#include "cpu/isa.h"
#include "kernels/bfloat16.h"
#include "kernels/kernels.h"
#include "kernels/pack.h"

namespace py = pybind11;

namespace pyengine {
namespace {

int rows_of(const py::array& a) { return static_cast<int>(a.shape(0)); }

int columns_of(const py::array& a) { return static_cast<int>(a.shape(1)); }

Floats empty(int rows, int columns) { return Floats({rows, columns}); }

Floats empty(int size) { return Floats(size); }

Activation activation_named(const std::string& name) {
  if (name == "none") return Activation::kNone;
  if (name == "relu") return Activation::kRelu;
  if (name == "silu") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_tanh") return Activation::kGeluTanh;
  if (name == "tanh") return Activation::kTanh;
  throw std::invalid_argument("activation must be none, relu, silu, gelu, gelu_tanh or tanh, not " + name);
}

// Runs `kernel` so many times without the GIL: once for a test, often for a measurement.
template <typename Kernel>
void run(int repeat, const Kernel& kernel) {
  const py::gil_scoped_release release;
  for (int i = 0; i < repeat; ++i) kernel();
}

// What follows the sums of a product: bias [columns], activation, residual [rows, columns] or None.
struct Epilogue {
  Floats bias;
  std::string activation;
  std::optional<Floats> residual;
};

// Checks what every product shares and fills it in; panels of `groups` steps of the depth.
Floats prepare(GemmArgs& args, const py::array& panels, int rows, std::int64_t groups, const Epilogue& then) {
  require(panels.ndim() >= 3 && panels.shape(1) == groups && panels.shape(2) == kPanelWidth,
          "panels must be [p, depth, 32], or [p, depth / 4, 32, 4] of int8");
  require(then.bias.ndim() == 1, "bias must be [columns]");
  const int columns = static_cast<int>(then.bias.size());
  require(panels.shape(0) * kPanelWidth >= columns, "bias is wider than the panels");
  if (then.residual) {
    require(then.residual->ndim() == 2 && rows_of(*then.residual) == rows &&
                columns_of(*then.residual) == columns,
            "residual must be [rows, columns]");
  }
  Floats output = empty(rows, columns);
  args.num_rows = rows;
  args.num_columns = columns;
  args.bias = then.bias.data();
  args.activation = activation_named(then.activation);
  args.residual = then.residual ? then.residual->data() : nullptr;
  args.output = output.mutable_data();
  args.output_stride = columns;
  return output;
}

// input [rows, depth], panels as pack() gives, bias [columns], residual [rows, columns] or None -> [rows,
// columns]
Floats gemm_f32(const std::string& isa, const Floats& input, const Floats& panels, const Floats& bias,
                const std::string& activation, const std::optional<Floats>& residual, int repeat) {
  require(input.ndim() == 2, "input must be [rows, depth]");
  GemmF32Args args = {};
  Floats output = prepare(args, panels, rows_of(input), input.shape(1), {bias, activation, residual});
  args.input = input.data();
  args.input_stride = args.depth = columns_of(input);
  args.panels = panels.data();
  run(repeat, [&, &kernels = select_kernels(isa)] { kernels.gemm_f32(args); });
  return output;
}

// The same with panels as pack_bf16() gives.
Floats gemm_bf16(const std::string& isa, const Floats& input, const Halves& panels, const Floats& bias,
                 const std::string& activation, const std::optional<Floats>& residual, int repeat) {
  require(input.ndim() == 2, "input must be [rows, depth]");
  GemmBf16Args args = {};
  Floats output = prepare(args, panels, rows_of(input), input.shape(1), {bias, activation, residual});
  args.input = input.data();
  args.input_stride = args.depth = columns_of(input);
  args.panels = reinterpret_cast<const Bfloat16*>(panels.data());
  run(repeat, [&, &kernels = select_kernels(isa)] { kernels.gemm_bf16(args); });
  return output;
}

// input [rows, depth] -> bytes [rows, quantized_stride(depth)] in the table's own form, scales and sums
// [rows]
py::tuple quantize(const std::string& isa, const Floats& input, int repeat) {
  require(input.ndim() == 2, "input must be [rows, depth]");
  const int depth = columns_of(input);
  UnsignedBytes quantized({std::int64_t{rows_of(input)}, quantized_stride(depth)});
  Floats scales = empty(rows_of(input));
  const Kernels& kernels = select_kernels(isa);
  Ints sums(scales.size());
  run(repeat, [&] {
    kernels.quantize(input.data(), depth, rows_of(input), depth, quantized.mutable_data(),
                     scales.mutable_data(), sums.mutable_data());
  });
  return py::make_tuple(quantized, scales, sums);
}

using Quantized = std::tuple<UnsignedBytes, Floats, Ints>;
using PackedS8 = std::tuple<Bytes, Floats, Ints, Ints>;

// Fills in what does not depend on where the columns lie.
Floats prepare_s8(GemmS8Args& args, int depth, const Quantized& quantized, const Bytes& panels,
                  const Epilogue& epilogue) {
  const auto& [input, scales, sums] = quantized;
  require(input.ndim() == 2 && input.shape(1) == quantized_stride(depth) && scales.size() == input.shape(0),
          "quantized must be what quantize gives for [rows, depth]");
  Floats output = prepare(args, panels, rows_of(input), (depth + kDepthGroup - 1) / kDepthGroup, epilogue);
  args.depth = depth;
  args.input = input.data();
  args.input_scales = scales.data();
  args.input_sums = sums.data();
  return output;
}

// quantized as quantize() gives (bytes, scales, sums), packed as pack_s8() gives (panels, scales, zero
// points, column sums)
Floats gemm_s8(const std::string& isa, int depth, const Quantized& quantized, const PackedS8& packed,
               const Floats& bias, const std::string& activation, const std::optional<Floats>& residual,
               int repeat) {
  const auto& [panels, weight_scales, zero_points, column_sums] = packed;
  require(zero_points.size() == bias.size() && column_sums.size() == bias.size(), "packed must be [columns]");
  GemmS8Args args = {};
  Floats output = prepare_s8(args, depth, quantized, panels, {bias, activation, residual});
  args.panels = panels.data();
  args.weight_scales = weight_scales.data();
  args.zero_points = zero_points.data();
  args.column_sums = column_sums.data();
  run(repeat, [&, &kernels = select_kernels(isa)] { kernels.gemm_s8(args); });
  return output;
}

// gemm_s8 of the columns `rows` of the weight; bias [rows]
Floats gathered_s8(const std::string& isa, int depth, const Quantized& quantized, const PackedS8& packed,
                   const Ints& rows, const Floats& bias) {
  const auto& [panels, weight_scales, zero_points, column_sums] = packed;
  require(rows.size() == bias.size(), "bias must be [rows]");
  std::vector<std::int8_t> table(static_cast<std::size_t>(weight_scales.size()) * table_stride(depth));
  unpack_table(panels.data(), depth, weight_scales.size(), table.data());
  std::vector<float> scales;
  std::vector<std::int32_t> sums, zeros;
  for (py::ssize_t i = 0; i < rows.size(); ++i) {
    const std::int32_t row = rows.data()[i];
    require(row >= 0 && row < weight_scales.size(), "a row is not there");
    scales.push_back(weight_scales.data()[row]);
    sums.push_back(column_sums.data()[row]);
    zeros.push_back(zero_points.data()[row]);
  }
  GatheredS8Args args = {};
  Floats output = prepare_s8(args, depth, quantized, panels, {bias, "none", std::nullopt});
  args.panels = table.data();
  args.weight_scales = scales.data();
  args.zero_points = zeros.data();
  args.column_sums = sums.data();
  args.rows = rows.data();
  select_kernels(isa).gathered_s8(args);
  return output;
}

// A key cache as the engine lays it out: `rows` beams whose blocks are [kLanes positions transposed].
struct KeyCache {
  std::vector<std::vector<float>> blocks;          // [row * num_blocks + block], each [head_dim][kLanes]
  std::vector<std::vector<Bf16Pair>> pair_blocks;  // the same, [head_dim / 2][kLanes]
  std::vector<KeySegment> segments;
};

// Pairs of each two neighbouring runs of kLanes floats.
std::vector<Bf16Pair> pairs_of(const float* values, std::size_t size) {
  std::vector<Bf16Pair> result(size / 2);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const float* first = values + i / kLanes * 2 * kLanes + i % kLanes;
    result[i] = pair(first[0], first[kLanes]);
  }
  return result;
}

// Position j lies in row owner[j]; what a row does not own is NaN, which must not leak into any result.
KeyCache lay_out_keys(const Floats& keys, const std::vector<int>& owner, bool bfloat16) {
  const int num_keys = rows_of(keys), head_dim = columns_of(keys);
  const int num_blocks = (num_keys + kLanes - 1) / kLanes;
  const int num_rows = 1 + *std::max_element(owner.begin(), owner.end());
  KeyCache cache;
  cache.blocks.assign(num_rows * num_blocks, std::vector<float>(head_dim * kLanes, __builtin_nanf("")));
  std::vector<std::uint32_t> lanes(cache.blocks.size());
  for (int j = 0; j < num_keys; ++j) {
    const int at = owner[j] * num_blocks + j / kLanes;
    lanes[at] |= 1u << j % kLanes;
    for (int d = 0; d < head_dim; ++d) cache.blocks[at][d * kLanes + j % kLanes] = keys.at(j, d);
  }
  for (const auto& block : cache.blocks) cache.pair_blocks.push_back(pairs_of(block.data(), block.size()));
  for (int block = 0; block < num_blocks; ++block) {
    for (int row = 0; row < num_rows; ++row) {
      const int at = row * num_blocks + block;
      const void* small = cache.pair_blocks[at].data();
      const void* keys_of_block = bfloat16 ? small : cache.blocks[at].data();
      if (lanes[at]) cache.segments.push_back({keys_of_block, block, lanes[at]});
    }
  }
  return cache;
}

// query [queries, num_heads * head_dim], keys and values [keys, num_heads * head_dim], num_keys [queries],
// owner [keys]: the cache row that holds each position (a beam's ancestor); keys and values are rounded to
// bfloat16 if wanted; biases [num_heads, queries, keys] or None -> like query
Floats attention(const std::string& isa, const Floats& query, const Floats& keys, const Floats& values,
                 float scale, const Ints& num_keys, const std::vector<int>& owner, int num_heads,
                 bool bfloat16, const std::optional<Floats>& biases, int repeat) {
  require(query.ndim() == 2 && keys.ndim() == 2 && values.ndim() == 2, "query, keys, values: two axes");
  require(rows_of(keys) == rows_of(values) && columns_of(keys) == columns_of(query) &&
              columns_of(values) == columns_of(query),
          "keys and values must be [keys, num_heads * head_dim]");
  require(num_heads >= 1 && columns_of(query) % num_heads == 0,
          "query must be [queries, num_heads * head_dim]");
  require(!bfloat16 || columns_of(query) / num_heads % 32 == 0, "bfloat16 needs a head_dim of 32 i");
  require(num_keys.size() == rows_of(query), "num_keys must be [queries]");
  require(owner.size() == static_cast<std::size_t>(rows_of(keys)), "owner must be [keys]");
  for (int i = 0; i < num_keys.size(); ++i) {
    require(num_keys.at(i) >= 1 && num_keys.at(i) <= rows_of(keys), "num_keys out of range");
  }
  std::vector<const float*> bias_rows;
  if (biases) {
    require(biases->ndim() == 3 && biases->shape(0) == num_heads && biases->shape(1) == rows_of(query) &&
                biases->shape(2) == rows_of(keys),
            "biases must be [num_heads, queries, keys]");
    for (int i = 0; i < rows_of(query); ++i) bias_rows.push_back(biases->data(0, i, 0));
  }
  const KeyCache cache = lay_out_keys(keys, owner, bfloat16);
  const std::vector<Bf16Pair> small_values = pairs_of(values.data(), values.size());
  std::vector<const void*> value_rows;
  for (int j = 0; j < rows_of(values); ++j) {
    const void* small = small_values.data() + static_cast<std::size_t>(j) * columns_of(values) / 2;
    value_rows.push_back(bfloat16 ? small : values.data(j, 0));
  }
  const int scores_stride = (rows_of(keys) + kLanes - 1) / kLanes * kLanes;
  Floats scores = empty(kAttentionRows, scores_stride);
  Floats output = empty(rows_of(query), columns_of(query));
  AttentionArgs args = {};
  args.query = query.data();
  args.query_stride = args.output_stride = columns_of(query);
  args.num_heads = num_heads;
  args.head_dim = columns_of(query) / num_heads;
  args.num_queries = rows_of(query);
  args.scale = scale;
  args.num_keys = num_keys.data();
  args.segments = cache.segments.data();
  args.num_segments = static_cast<int>(cache.segments.size());
  args.values = value_rows.data();
  args.value_head_stride = bfloat16 ? args.head_dim / 2 : args.head_dim;
  args.key_head_stride = args.value_head_stride * kLanes;
  args.biases = bias_rows.data();
  args.bias_head_stride = static_cast<std::int64_t>(rows_of(query)) * rows_of(keys);
  args.scores = scores.mutable_data();
  args.scores_stride = scores_stride;
  args.output = output.mutable_data();
  const Kernels& kernels = select_kernels(isa);
  const auto plain = bfloat16 ? kernels.attention_bf16 : kernels.attention_f32;
  const auto biased = bfloat16 ? kernels.attention_biased_bf16 : kernels.attention_biased_f32;
  const auto attention = biases ? biased : plain;
  run(repeat, [&] { attention(args); });
  return output;
}

Floats layer_norm(const std::string& isa, const Floats& input, const Floats& gamma, const Floats& beta,
                  float epsilon) {
  require(input.ndim() == 2 && gamma.size() == input.shape(1) && beta.size() == input.shape(1),
          "input [rows, size], gamma and beta [size]");
  Floats output = empty(rows_of(input), columns_of(input));
  select_kernels(isa).layer_norm(input.data(), rows_of(input), columns_of(input), gamma.data(), beta.data(),
                                 epsilon, output.mutable_data());
  return output;
}

Floats rms_norm(const std::string& isa, const Floats& input, const Floats& gamma, float epsilon) {
  require(input.ndim() == 2 && gamma.size() == input.shape(1), "input [rows, size], gamma [size]");
  Floats output = empty(rows_of(input), columns_of(input));
  select_kernels(isa).rms_norm(input.data(), rows_of(input), columns_of(input), gamma.data(), epsilon,
                               output.mutable_data());
  return output;
}

// gate_and_value [rows, 2 * size] -> [rows, size]
Floats gate(const std::string& isa, const Floats& gate_and_value, const std::string& activation) {
  require(gate_and_value.ndim() == 2 && gate_and_value.shape(1) % 2 == 0,
          "gate_and_value must be [rows, 2 * size]");
  Floats output = empty(rows_of(gate_and_value), columns_of(gate_and_value) / 2);
  select_kernels(isa).gate(gate_and_value.data(), rows_of(output), columns_of(output),
                           activation_named(activation), output.mutable_data());
  return output;
}

Floats embed(const std::string& isa, const Floats& token, float scale, const Floats& position) {
  require(token.ndim() == 1 && token.size() == position.size(), "token and position must be [size]");
  Floats output = empty(static_cast<int>(token.size()));
  select_kernels(isa).embed(token.data(), scale, position.data(), static_cast<int>(token.size()),
                            output.mutable_data());
  return output;
}

// angles [head_dim], heads [num_heads, head_dim] -> the heads turned
Floats rotate(const std::string& isa, const Floats& angles, const Floats& heads) {
  require(heads.ndim() == 2 && heads.shape(1) == angles.size() && angles.size() % 2 == 0,
          "heads must be [num_heads, size of angles], which is even");
  Floats output = empty(rows_of(heads), columns_of(heads));
  std::copy_n(heads.data(), heads.size(), output.mutable_data());
  select_kernels(isa).rotate(angles.data(), rows_of(heads), columns_of(heads), output.mutable_data());
  return output;
}

// input and gate [size], state and hidden [size] -> their next values
py::tuple ssru(const std::string& isa, const Floats& input, const Floats& gate, const Floats& state,
               const Floats& hidden) {
  const int size = static_cast<int>(input.size());
  require(gate.size() == size && state.size() == size && hidden.size() == size,
          "input, gate, state and hidden must be [size]");
  Floats next_state = empty(size), next_hidden = empty(size);
  std::copy_n(state.data(), size, next_state.mutable_data());
  std::copy_n(hidden.data(), size, next_hidden.mutable_data());
  select_kernels(isa).ssru(input.data(), gate.data(), size, next_state.mutable_data(),
                           next_hidden.mutable_data());
  return py::make_tuple(next_state, next_hidden);
}

py::tuple max_sum_exp(const std::string& isa, const Floats& logits) {
  const MaxSum result = select_kernels(isa).max_sum_exp(logits.data(), static_cast<int>(logits.size()));
  return py::make_tuple(result.max, result.sum);
}

Floats exp_shifted(const std::string& isa, const Floats& values, float shift) {
  Floats exps = empty(values.size());
  select_kernels(isa).exp_shifted(values.data(), static_cast<int>(exps.size()), shift, exps.mutable_data());
  return exps;
}

float log_sum_exp(const std::string& isa, const Floats& maxes, const Floats& sums) {
  require(maxes.size() == sums.size(), "maxes and sums must be [runs]");
  std::vector<MaxSum> runs;
  for (int i = 0; i < maxes.size(); ++i) runs.push_back({maxes.at(i), sums.at(i)});
  return select_kernels(isa).log_sum_exp(runs.data(), static_cast<int>(runs.size()));
}

// logits [size] in runs of run_size -> values [k], ids [k]
py::tuple top_k(const std::string& isa, const Floats& logits, int k, std::int32_t first_id, int run_size) {
  require(k >= 1 && run_size >= 1, "k and run_size must be positive");
  Floats values = empty(k);
  Ints ids(k);
  std::fill_n(values.mutable_data(), k, -__builtin_inff());
  std::fill_n(ids.mutable_data(), k, -1);
  const Kernels& kernels = select_kernels(isa);
  const int size = static_cast<int>(logits.size());
  for (int i = 0; i < size; i += run_size) {
    kernels.top_k(logits.data() + i, std::min(run_size, size - i), first_id + i, k, values.mutable_data(),
                  ids.mutable_data());
  }
  return py::make_tuple(values, ids);
}

}  // namespace

void bind_kernels(py::module_& m) {
  py::module_ k = m.def_submodule("kernels", "Every kernel of every instruction set, for tests.");
  using py::arg;
  k.attr("PANEL_WIDTH") = kPanelWidth;
  k.attr("LANES") = kLanes;
  bind_packing(k);
  const auto def = [&k](const char* name, auto kernel, const auto&... arguments) {
    k.def(name, kernel, arguments..., py::call_guard<FloatEnvironment>());
  };
  k.def(
      "table_name", [](const std::string& isa) { return select_kernels(isa).name; }, arg("isa"));
  def("gemm_f32", &gemm_f32, arg("isa"), arg("input"), arg("panels"), arg("bias"), arg("activation") = "none",
      arg("residual") = py::none(), arg("repeat") = 1);
  def("gemm_bf16", &gemm_bf16, arg("isa"), arg("input"), arg("panels"), arg("bias"),
      arg("activation") = "none", arg("residual") = py::none(), arg("repeat") = 1);
  def("quantize", &quantize, arg("isa"), arg("input"), arg("repeat") = 1);
  def("gemm_s8", &gemm_s8, arg("isa"), arg("depth"), arg("quantized"), arg("packed"), arg("bias"),
      arg("activation") = "none", arg("residual") = py::none(), arg("repeat") = 1);
  def("gathered_s8", &gathered_s8, arg("isa"), arg("depth"), arg("quantized"), arg("packed"), arg("rows"),
      arg("bias"));
  def("attention", &attention, arg("isa"), arg("query"), arg("keys"), arg("values"), arg("scale"),
      arg("num_keys"), arg("owner"), arg("num_heads") = 1, arg("bfloat16") = false,
      arg("biases") = py::none(), arg("repeat") = 1);
  def("layer_norm", &layer_norm, arg("isa"), arg("input"), arg("gamma"), arg("beta"), arg("epsilon"));
  def("rms_norm", &rms_norm, arg("isa"), arg("input"), arg("gamma"), arg("epsilon"));
  def("gate", &gate, arg("isa"), arg("gate_and_value"), arg("activation"));
  def("embed", &embed, arg("isa"), arg("token"), arg("scale"), arg("position"));
  def("rotate", &rotate, arg("isa"), arg("angles"), arg("heads"));
  def("ssru", &ssru, arg("isa"), arg("input"), arg("gate"), arg("state"), arg("hidden"));
  def("max_sum_exp", &max_sum_exp, arg("isa"), arg("logits"));
  def("exp_shifted", &exp_shifted, arg("isa"), arg("values"), arg("shift"));
  def("log_sum_exp", &log_sum_exp, arg("isa"), arg("maxes"), arg("sums"));
  def("top_k", &top_k, arg("isa"), arg("logits"), arg("k"), arg("first_id") = 0, arg("run_size") = 1 << 30);
}

}  // namespace pyengine
