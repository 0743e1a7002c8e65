// What this processor and its operating system can run.
#pragma once

namespace pyengine {

struct CpuFeatures {
  bool avx2_fma;  // AVX2 and FMA, and the system saves ymm registers
  bool avx512;    // AVX-512 F, BW, DQ and VL besides, and the system saves zmm and mask registers
};

// Asks the processor; all false where the question makes no sense (not x86-64).
CpuFeatures detect_cpu_features();

}  // namespace pyengine
