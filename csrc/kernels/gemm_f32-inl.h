// Matrix products with weights of float32 and bfloat16: each output is one chain of FMAs over the depth.
#pragma once

#include "kernels/gemm-inl.h"

template <typename ArgsType, typename WeightType>
struct FloatProduct {
  using Args = ArgsType;
  using Tiles = FloatTiles;
  using Weight = WeightType;  // loads as floats
  using Operand = Vec;
  using Acc = Vec;
  using Sum = float;
  static constexpr int kGroup = 1;
  static constexpr int kInputStep = 1;

  static int64_t input_stride(const Args& args) { return args.input_stride; }
  static Vec start(const Args& /*args*/, int /*column*/) { return zero(); }
  static Vec inputs(const float* p) { return broadcast(*p); }
  static Vec weights(const Weight* p) { return load(p); }
  static Vec multiply_add(Vec x, Vec w, Vec acc) { return fma(x, w, acc); }

  // What a vector of columns adds to its sums.
  struct Columns {
    Vec bias;
    Columns(const Args& args, int column, int n) : bias(load_up_to(args.bias + column, n)) {}
    Vec finish(const Args& /*args*/, int /*row*/, Vec sums) const { return add(sums, bias); }
  };
};

void gemm_f32(const GemmF32Args& args) noexcept { gemm<FloatProduct<GemmF32Args, float>>(args); }

void gemm_bf16(const GemmBf16Args& args) noexcept { gemm<FloatProduct<GemmBf16Args, Bfloat16>>(args); }
