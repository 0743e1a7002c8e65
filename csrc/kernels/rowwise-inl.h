// Kernels over one row: sums are lane by lane in index order, then the one tree of sum_lanes.
#pragma once

#include "kernels/math-inl.h"
#include "kernels/partial-inl.h"

// Three passes over a row that the first leaves in cache; the variance is that of the differences, as the
// difference of two large sums would lose what a row far from zero has left.
inline void layer_norm_row(const float* x, int size, const float* gamma, const float* beta, float epsilon,
                           float* y) {
  Vec sum = zero();
  for_each_vector(size, [&](int i, int n) { sum = add(sum, load_up_to(x + i, n)); });
  const Vec mean = broadcast(sum_lanes(sum) / static_cast<float>(size));
  Vec squares = zero();
  for_each_vector(size, [&](int i, int n) {
    const Vec d = keep_first(sub(load_up_to(x + i, n), mean), n, zero());
    squares = fma(d, d, squares);
  });
  const float variance = sum_lanes(squares) / static_cast<float>(size);
  const Vec scale = broadcast(1.0f / square_root(variance + epsilon));
  for_each_vector(size, [&](int i, int n) {
    const Vec normal = mul(sub(load_up_to(x + i, n), mean), scale);
    store_up_to(y + i, n, fma(normal, load_up_to(gamma + i, n), load_up_to(beta + i, n)));
  });
}

void layer_norm(const float* input, int num_rows, int size, const float* gamma, const float* beta,
                float epsilon, float* output) noexcept {
  for (int row = 0; row < num_rows; ++row, input += size, output += size) {
    layer_norm_row(input, size, gamma, beta, epsilon, output);
  }
}

inline void rms_norm_row(const float* x, int size, const float* gamma, float epsilon, float* y) {
  Vec squares = zero();
  for_each_vector(size, [&](int i, int n) {
    const Vec v = load_up_to(x + i, n);
    squares = fma(v, v, squares);
  });
  const float mean = sum_lanes(squares) / static_cast<float>(size);
  const Vec scale = broadcast(1.0f / square_root(mean + epsilon));
  for_each_vector(size, [&](int i, int n) {
    store_up_to(y + i, n, mul(mul(load_up_to(x + i, n), scale), load_up_to(gamma + i, n)));
  });
}

void rms_norm(const float* input, int num_rows, int size, const float* gamma, float epsilon,
              float* output) noexcept {
  for (int row = 0; row < num_rows; ++row, input += size, output += size) {
    rms_norm_row(input, size, gamma, epsilon, output);
  }
}

void gate(const float* gate_and_value, int num_rows, int size, Activation activation,
          float* output) noexcept {
  for (int row = 0; row < num_rows; ++row, gate_and_value += 2 * static_cast<int64_t>(size), output += size) {
    for_each_vector(size, [&](int i, int n) {
      const Vec opened = activate(activation, load_up_to(gate_and_value + i, n));
      store_up_to(output + i, n, mul(opened, load_up_to(gate_and_value + size + i, n)));
    });
  }
}

// Two roundings: the exporters write a Mul and an Add.
void embed(const float* token, float scale, const float* position, int size, float* output) noexcept {
  const Vec s = broadcast(scale);
  for_each_vector(size, [&](int i, int n) {
    store_up_to(output + i, n, add(mul(load_up_to(token + i, n), s), load_up_to(position + i, n)));
  });
}

void rotate(const float* angles, int num_heads, int head_dim, float* heads) noexcept {
  const int half = head_dim / 2;
  for (int head = 0; head < num_heads; ++head, heads += head_dim) {
    for_each_vector(half, [&](int i, int n) {
      const Vec cos = load_up_to(angles + i, n), sin = load_up_to(angles + half + i, n);
      const Vec a = load_up_to(heads + i, n), b = load_up_to(heads + half + i, n);
      store_up_to(heads + i, n, sub(mul(a, cos), mul(b, sin)));
      store_up_to(heads + half + i, n, add(mul(b, cos), mul(a, sin)));
    });
  }
}

void ssru(const float* input, const float* gate, int size, float* state, float* hidden) noexcept {
  for_each_vector(size, [&](int i, int n) {
    const Vec g = sigmoid(load_up_to(gate + i, n));
    const Vec fresh = mul(sub(broadcast(1.0f), g), load_up_to(input + i, n));
    const Vec next = fma(g, load_up_to(state + i, n), fresh);
    store_up_to(state + i, n, next);
    store_up_to(hidden + i, n, add(load_up_to(hidden + i, n), max(next, zero())));
  });
}

// Exact, so its order does not matter; entries past `size` are not read. NaN is passed over.
inline float max_of(const float* x, int size) {
  constexpr int kChains = 4;  // of one instruction's latency each
  Vec largest[kChains];
  for (int c = 0; c < kChains; ++c) largest[c] = broadcast(-kInfinity);
  int i = 0;
  for (; i + kChains * kLanes <= size; i += kChains * kLanes) {
    for (int c = 0; c < kChains; ++c) largest[c] = max(load(x + i + c * kLanes), largest[c]);
  }
  for_each_vector(size - i, [&](int j, int n) {
    largest[0] = max(keep_first(load_up_to(x + i + j, n), n, broadcast(-kInfinity)), largest[0]);
  });
  return max_lanes(max(max(largest[0], largest[1]), max(largest[2], largest[3])));
}

MaxSum max_sum_exp(const float* logits, int size) noexcept {
  const float largest = max_of(logits, size);
  if (largest == -kInfinity) return {-kInfinity, 0.0f};
  Vec sum = zero();
  for_each_vector(size, [&](int i, int n) {
    const Vec e = exp_of_negative(sub(load_up_to(logits + i, n), broadcast(largest)));
    sum = add(sum, keep_first(e, n, zero()));
  });
  return {largest, sum_lanes(sum)};
}

void exp_shifted(const float* values, int size, float shift, float* output) noexcept {
  const Vec subtrahend = broadcast(shift);
  for_each_vector(size, [&](int i, int n) {
    store_up_to(output + i, n, exp(sub(load_up_to(values + i, n), subtrahend)));
  });
}

float log_sum_exp(const MaxSum* runs, int num_runs) noexcept {
  float largest = -kInfinity;
  for (int i = 0; i < num_runs; ++i) largest = runs[i].max > largest ? runs[i].max : largest;
  if (largest == -kInfinity) return largest;
  Vec total = zero();
  for_each_vector(num_runs, [&](int first, int n) {
    float maxes[kLanes] = {}, sums[kLanes] = {};
    for (int l = 0; l < n; ++l) {
      maxes[l] = runs[first + l].max;
      sums[l] = runs[first + l].sum;
    }
    total = fma(load(sums), exp(sub(load(maxes), broadcast(largest))), total);
  });
  return log(sum_lanes(total)) + largest;
}
