// What this processor and its operating system can run.
#pragma once

namespace pyengine {

struct CpuFeatures {
  bool avx2_fma;     // AVX2 and FMA, and the system saves ymm registers
  bool avx_vnni;     // AVX-VNNI besides
  bool avx512;       // avx2_fma and AVX-512 F, BW, DQ, VL, and the system saves zmm and mask registers
  bool avx512_vnni;  // AVX512-VNNI besides
};

// Asks the processor; all false where the question makes no sense (not x86-64).
CpuFeatures detect_cpu_features();

}  // namespace pyengine
