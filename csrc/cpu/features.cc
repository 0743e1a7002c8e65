#include "cpu/features.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace pyengine {

#if defined(__x86_64__)
namespace {

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);  // leaves zeros for an unknown leaf
  return r;
}

bool has(unsigned word, int bit) { return (word >> bit) & 1u; }

// Register state that the operating system saves on a context switch (XCR0). Only legal with OSXSAVE.
std::uint64_t saved_state() {
  std::uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32) | low;
}

}  // namespace

CpuFeatures detect_cpu_features() {
  // Bit numbers: Intel 64 SDM volume 2A, CPUID; volume 1, 13.3 for XCR0.
  const Registers leaf1 = cpuid(1);
  const Registers leaf7 = cpuid(7);  // eax: the last subleaf
  const Registers leaf7_1 = leaf7.eax >= 1 ? cpuid(7, 1) : Registers{};
  const bool os_xsave = has(leaf1.ecx, 27);
  const std::uint64_t saved = os_xsave ? saved_state() : 0;
  const bool ymm_saved = (saved & 0x06) == 0x06;  // xmm, ymm
  const bool zmm_saved = (saved & 0xe6) == 0xe6;  // and masks, zmm 0-15 high halves, zmm 16-31

  CpuFeatures features;
  features.avx2_fma = ymm_saved && has(leaf1.ecx, 28) && has(leaf1.ecx, 12) && has(leaf7.ebx, 5);
  features.avx_vnni = features.avx2_fma && has(leaf7_1.eax, 4);
  features.avx512 = features.avx2_fma && zmm_saved && has(leaf7.ebx, 16) && has(leaf7.ebx, 17) &&
                    has(leaf7.ebx, 30) && has(leaf7.ebx, 31);
  features.avx512_vnni = features.avx512 && has(leaf7.ecx, 11);
  return features;
}
#else
CpuFeatures detect_cpu_features() { return {}; }
#endif

}  // namespace pyengine
