// How this thread rounds, and what it makes of tiny numbers: a program may change either, results may not.
#pragma once

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif !defined(__aarch64__)
#include <cfenv>
#endif

namespace pyengine {

// While it exists its thread rounds to nearest even, keeps denormal numbers and traps nothing, as a program
// starts; then it does again what it did before. Where that is the same nothing is written, which takes a few
// nanoseconds.
class FloatEnvironment {
 public:
  FloatEnvironment() : before_(read()) {
    if ((before_ & kControl) != kDefault) write(kDefault);
  }
  ~FloatEnvironment() {
    if ((before_ & kControl) != kDefault) write(before_);
  }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
#if defined(__x86_64__) || defined(_M_X64)
  using Register = std::uint32_t;  // MXCSR; nothing here is computed by the x87
  static constexpr Register kControl = 0xffc0, kDefault = 0x1f80;

  static Register read() { return _mm_getcsr(); }
  static void write(Register value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
  using Register = std::uint64_t;  // FPCR
  static constexpr Register kControl = ~Register{0}, kDefault = 0;

  static Register read() {
    Register value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void write(Register value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
  using Register = int;  // the rounding mode
  static constexpr Register kControl = -1, kDefault = FE_TONEAREST;

  static Register read() { return std::fegetround(); }
  static void write(Register value) { std::fesetround(value); }
#endif

  const Register before_;
};

}  // namespace pyengine
