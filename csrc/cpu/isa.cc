#include "cpu/isa.h"

#include <cstdlib>
#include <stdexcept>

#include "cpu/features.h"
#include "kernels/tables.h"

namespace pyengine {
namespace {

// One row for each instruction set that was built, best first. A new one is one more row here.
struct IsaRow {
  const Kernels* kernels;
  bool (*runs_on)(const CpuFeatures& cpu);
};

constexpr IsaRow kIsaRows[] = {
#ifdef PYENGINE_HAVE_AVX512VNNI
    {&kAvx512VnniKernels, [](const CpuFeatures& cpu) { return cpu.avx512_vnni; }},
#endif
#ifdef PYENGINE_HAVE_AVX512
    {&kAvx512Kernels, [](const CpuFeatures& cpu) { return cpu.avx512; }},
#endif
#ifdef PYENGINE_HAVE_AVXVNNI
    {&kAvxVnniKernels, [](const CpuFeatures& cpu) { return cpu.avx_vnni; }},
#endif
#ifdef PYENGINE_HAVE_AVX2
    {&kAvx2Kernels, [](const CpuFeatures& cpu) { return cpu.avx2_fma; }},
#endif
    {&kScalarKernels, [](const CpuFeatures&) { return true; }},
};

std::string possible_names() {
  std::string names;
  for (const std::string& name : available_isas()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

// The only place that reads the environment.
std::string override_name() {
  const char* name = std::getenv("PYENGINE_ISA");
  return name ? name : "";
}

}  // namespace

std::vector<std::string> available_isas() {
  const CpuFeatures cpu = detect_cpu_features();
  std::vector<std::string> names;
  for (const IsaRow& row : kIsaRows) {
    if (row.runs_on(cpu)) names.emplace_back(row.kernels->name);
  }
  return names;
}

// Asks the processor at every call: this happens once for each engine.
const Kernels& select_kernels(const std::string& name) {
  const bool from_environment = name.empty();
  const std::string wanted = from_environment ? override_name() : name;
  const CpuFeatures cpu = detect_cpu_features();
  for (const IsaRow& row : kIsaRows) {
    if (row.runs_on(cpu) && (wanted.empty() || wanted == row.kernels->name)) return *row.kernels;
  }
  throw std::invalid_argument((from_environment ? "PYENGINE_ISA" : "isa") + std::string(" is \"") + wanted +
                              "\", but this CPU and build can run only: " + possible_names());
}

}  // namespace pyengine
