// Elementary functions on vectors: equal to the bit on every instruction set, since each is one fixed
// sequence of correctly rounded operations. Polynomials are our own minimax fits (Lawson's iteration).
// Largest errors: measured on every 101st float of the range against float64;
// tests/kernels/test_math.py pins them.
#pragma once

constexpr float kInfinity = __builtin_inff();

inline Vec polynomial(Vec /*x*/, float c) { return broadcast(c); }

// c + x * (next + x * (...)): coefficients ascending, Horner's scheme with FMA.
template <typename... Rest>
inline Vec polynomial(Vec x, float c, Rest... rest) {
  return fma(polynomial(x, rest...), x, broadcast(c));
}

// mantissa * power = e^x * 2^(kBias - 127), mantissa in [0.7, 1.5].
struct Exponent {
  Vec mantissa;
  Vec power;
};

template <int kBias>
inline Exponent split_exponent(Vec x) {
  // Adding 1.5 * 2^23 leaves n = round-to-even(x / ln 2) in the low bits of the sum; with kBias added, those
  // bits moved into the exponent are 2^(n + kBias - 127).
  constexpr float kRound = 12582912.0f + kBias;
  constexpr float kLog2E = 1.44269504f, kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;
  const Vec shifted = fma(x, broadcast(kLog2E), broadcast(kRound));
  const Vec n = sub(shifted, broadcast(kRound));
  const Vec r = fma(n, broadcast(-kLn2Low), fma(n, broadcast(-kLn2High), x));  // |r| <= ln 2 / 2
  const Vec q = polynomial(r, 0.49999994f, 0.166665211f, 0.041668389f, 0.00836871751f, 0.00138145941f);
  return {add(fma(mul(r, r), q, r), broadcast(1.0f)), shift_into_exponent(shifted)};
}

// e^x. Error below 1.5 ulp; results below e^-86.9 (about 2^-125.4) are 0, so none is denormal. Half of it is
// below e^-86.64, and may lose its last bit there.
inline Vec exp(Vec x) {
  constexpr float kSmallest = -86.9f, kLargest = 88.72284f;
  const Exponent e = split_exponent<126>(x);  // half of it, as 2^128 is no float
  const Vec half = mul(e.mantissa, e.power);
  const Vec result = select(greater(x, broadcast(kLargest)), broadcast(kInfinity), add(half, half));
  return select(greater(broadcast(kSmallest), x), zero(), result);
}

// e^x for x <= 0, as exp(x) to the bit down to -86.64; what is below -86.9 counts as -86.9, so that nothing
// has to be chosen: 1e-38 beside a largest term of 1 leaves no trace in a sum.
inline Vec exp_of_negative(Vec x) {
  const Vec clamped = max(broadcast(-86.9f), x);  // in this order a NaN stays one
  const Exponent e = split_exponent<127>(clamped);
  return mul(e.mantissa, e.power);
}

// The error function. Error below 1.1 ulp.
inline Vec erf(Vec x) {
  constexpr float kSwitch = 0.9277f;  // both fits hold their error here
  const Vec t = abs(x);
  const Vec t2 = mul(x, x);
  const Vec p = polynomial(t2, 0.128379151f, -0.376124859f, 0.112817213f, -0.0267631244f, 0.00498800306f,
                           -0.000596424914f);
  const Vec small = fma(t, p, t);
  // erf = 1 - exp(-(t + t q(t))); past 4 it rounds to 1.
  const Vec u = select(greater(t, broadcast(4.0f)), broadcast(4.0f), t);
  const Vec q = polynomial(u, 0.1286529f, 0.635133386f, 0.106266454f, -0.0237875134f, 0.00365448045f,
                           -0.000325757777f, 1.15261855e-05f);
  const Vec large = sub(broadcast(1.0f), exp(sub(zero(), fma(u, q, u))));
  return copy_sign(select(greater(t, broadcast(kSwitch)), large, small), x);
}

inline Vec sigmoid(Vec x) { return div(broadcast(1.0f), add(broadcast(1.0f), exp(sub(zero(), x)))); }

// x * sigmoid(x). Error below 2.3 ulp.
inline Vec silu(Vec x) { return div(x, add(broadcast(1.0f), exp(sub(zero(), x)))); }

// x * Phi(x), the exact form with erf. Error below 2.3 ulp from -1 up; below, 1 + erf cancels as it does in
// PyTorch.
inline Vec gelu(Vec x) {
  const Vec cdf = add(broadcast(1.0f), erf(mul(x, broadcast(0.707106781f))));
  return mul(mul(broadcast(0.5f), x), cdf);
}

// The tanh approximation of GELU, Hendrycks and Gimpel 2016, as x * sigmoid(2 u), which is the same as
// x (1 + tanh(u)) / 2 and does not cancel. Error below 3.1 ulp from -0.5 up; below, that of u grows with it.
inline Vec gelu_tanh(Vec x) {
  constexpr float kLinear = -1.59576912f, kCubic = -0.0713548163f;  // -2 sqrt(2 / pi) {1, 0.044715}
  const Vec minus_2u = mul(x, fma(mul(x, x), broadcast(kCubic), broadcast(kLinear)));
  return div(x, add(broadcast(1.0f), exp(minus_2u)));
}

// The hyperbolic tangent. Error below 1.6 ulp.
inline Vec tanh(Vec x) {
  const Vec one = broadcast(1.0f);
  const Vec t = abs(x);
  const Vec t2 = mul(x, x);
  const Vec p = polynomial(t2, -0.333332986f, 0.133319244f, -0.0537838303f, 0.020795969f, -0.00589515548f);
  const Vec small = fma(mul(t, t2), p, t);
  const Vec large = sub(one, div(broadcast(2.0f), add(exp(add(t, t)), one)));
  return copy_sign(select(greater(t, broadcast(0.6f)), large, small), x);
}

inline Vec activate(Activation activation, Vec x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return max(x, zero());
    case Activation::kSilu:
      return silu(x);
    case Activation::kGelu:
      return gelu(x);
    case Activation::kGeluTanh:
      return gelu_tanh(x);
    case Activation::kTanh:
      return tanh(x);
  }
  return x;
}

// Natural logarithm of one normal positive number; +inf gives +inf. Error below 0.9 ulp.
inline float log(float x) {
  if (!(x < kInfinity)) return x;
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  // x = 2^n (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)): the constant is the bits of sqrt(1/2).
  const int32_t n = static_cast<int32_t>(bits - 0x3f3504f3u) >> 23;
  bits -= static_cast<uint32_t>(n) << 23;
  float m;
  memcpy(&m, &bits, sizeof(m));
  const float f = m - 1.0f;
  constexpr float kCoefficients[] = {-0.0762310773f, 0.129055917f,  -0.132430062f,
                                     0.141816199f,   -0.166090518f, 0.200019851f,
                                     -0.250015855f,  0.333333254f,  -0.499999881f};
  float p = 0.0f;
  for (float c : kCoefficients) p = fma(p, f, c);
  const float log_m = fma(f * f, p, f);
  constexpr float kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;
  const float exponent = static_cast<float>(n);
  return fma(exponent, kLn2High, fma(exponent, kLn2Low, log_m));
}
