// Every kernel, and the table of them. Included inside the namespace of an isa_*.cc after its vector and dot
// product.
#pragma once

#include "kernels/attention-inl.h"
#include "kernels/gathered_s8-inl.h"
#include "kernels/gemm_f32-inl.h"
#include "kernels/gemm_s8-inl.h"
#include "kernels/math-inl.h"
#include "kernels/rowwise-inl.h"
#include "kernels/top_k-inl.h"

constexpr Kernels make_table(const char* name) {
  return {name,
          gemm_f32,
          gemm_bf16,
          gemm_s8,
          gathered_s8,
          quantize,
          attention<float, false>,
          attention<Bf16Pair, false>,
          attention<float, true>,
          attention<Bf16Pair, true>,
          layer_norm,
          rms_norm,
          gate,
          embed,
          rotate,
          ssru,
          max_sum_exp,
          exp_shifted,
          log_sum_exp,
          top_k};
}
