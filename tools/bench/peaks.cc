// What this machine can do at best: fused multiply-adds and int8 dot products from registers, and reading
// memory, on 1 ... n threads. Prints one JSON object a line: {"name": ..., "threads": ..., "value": ...} in
// GFLOP/s, GOP/s (a multiply-add counts two) or GB/s. Compiled and run by tools/bench/kernels.py.
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "cpu/features.h"

namespace {

using Clock = std::chrono::steady_clock;

// Independent chains, enough for two units with a latency of 5.
constexpr int kChains = 12;

// Each function below does the work of `rounds` rounds and returns something that depends on all of it.

__attribute__((target("avx2,fma"))) float fma256(std::int64_t rounds) {
  __m256 acc[kChains] = {}, x = _mm256_set1_ps(0.999f);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      acc[c] = _mm256_fmadd_ps(acc[c], x, x);
      __asm__("" : "+x"(acc[c]));  // or equal chains would be merged into one
    }
  }
#pragma GCC unroll 16
  for (int c = 1; c < kChains; ++c) acc[0] = _mm256_add_ps(acc[0], acc[c]);
  return _mm256_cvtss_f32(acc[0]);
}

__attribute__((target("avx512f"))) float fma512(std::int64_t rounds) {
  __m512 acc[kChains] = {}, x = _mm512_set1_ps(0.999f);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      acc[c] = _mm512_fmadd_ps(acc[c], x, x);
      __asm__("" : "+x"(acc[c]));  // or equal chains would be merged into one
    }
  }
#pragma GCC unroll 16
  for (int c = 1; c < kChains; ++c) acc[0] = _mm512_add_ps(acc[0], acc[c]);
  return _mm512_cvtss_f32(acc[0]);
}

__attribute__((target("avx512f,avx512vl,avx512vnni"))) float vnni256(std::int64_t rounds) {
  __m256i acc[kChains] = {}, x = _mm256_set1_epi8(3);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      acc[c] = _mm256_dpbusd_epi32(acc[c], x, x);
      __asm__("" : "+x"(acc[c]));  // or equal chains would be merged into one
    }
  }
#pragma GCC unroll 16
  for (int c = 1; c < kChains; ++c) acc[0] = _mm256_add_epi32(acc[0], acc[c]);
  return _mm256_cvtss_f32(_mm256_castsi256_ps(acc[0]));
}

__attribute__((target("avx512f,avx512vnni"))) float vnni512(std::int64_t rounds) {
  __m512i acc[kChains] = {}, x = _mm512_set1_epi8(3);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      acc[c] = _mm512_dpbusd_epi32(acc[c], x, x);
      __asm__("" : "+x"(acc[c]));  // or equal chains would be merged into one
    }
  }
#pragma GCC unroll 16
  for (int c = 1; c < kChains; ++c) acc[0] = _mm512_add_epi32(acc[0], acc[c]);
  return _mm512_cvtss_f32(_mm512_castsi512_ps(acc[0]));
}

// Products of int16 added in pairs, as int8 takes them without VNNI.
__attribute__((target("avx2"))) float madd256(std::int64_t rounds) {
  __m256i acc[kChains] = {}, x = _mm256_set1_epi16(3);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      __asm__("" : "+x"(x));  // or one product would serve for all
      acc[c] = _mm256_add_epi32(acc[c], _mm256_madd_epi16(x, x));
    }
  }
#pragma GCC unroll 16
  for (int c = 1; c < kChains; ++c) acc[0] = _mm256_add_epi32(acc[0], acc[c]);
  return _mm256_cvtss_f32(_mm256_castsi256_ps(acc[0]));
}

__attribute__((target("avx512f,avx512bw"))) float madd512(std::int64_t rounds) {
  __m512i acc[kChains] = {}, x = _mm512_set1_epi16(3);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      __asm__("" : "+x"(x));  // or one product would serve for all
      acc[c] = _mm512_add_epi32(acc[c], _mm512_madd_epi16(x, x));
    }
  }
#pragma GCC unroll 16
  for (int c = 1; c < kChains; ++c) acc[0] = _mm512_add_epi32(acc[0], acc[c]);
  return _mm512_cvtss_f32(_mm512_castsi512_ps(acc[0]));
}

// Sums `count` floats, a multiple of 128, of a buffer. One thread gets more from memory if it asks ahead.
template <bool kAhead>
__attribute__((target("avx2"))) float read(const float* data, std::int64_t count) {
  __m256 acc[16] = {};
  for (std::int64_t i = 0; i < count; i += 128) {
    if constexpr (kAhead) {
#pragma GCC unroll 8
      for (int c = 0; c < 8; ++c) __builtin_prefetch(data + i + 1024 + c * 16, 0, 2);
    }
#pragma GCC unroll 16
    for (int c = 0; c < 16; ++c) acc[c] = _mm256_add_ps(acc[c], _mm256_loadu_ps(data + i + c * 8));
  }
#pragma GCC unroll 16
  for (int c = 1; c < 16; ++c) acc[0] = _mm256_add_ps(acc[0], acc[c]);
  return _mm256_cvtss_f32(acc[0]);
}

volatile float g_sink;

// Best rate of the threads together, in units a second, over `tries` tries: `work(thread)` does `units`
// units.
template <typename Work>
double best_rate(int threads, int tries, double units, const Work& work) {
  double best = 0;
  for (int t = 0; t < tries; ++t) {
    std::atomic<int> waiting{threads};
    std::vector<double> seconds(threads);
    std::vector<std::thread> pool;
    for (int i = 0; i < threads; ++i) {
      pool.emplace_back([&, i] {
        --waiting;
        while (waiting.load() > 0) {
        }
        const auto start = Clock::now();
        g_sink = work(i);
        seconds[i] = std::chrono::duration<double>(Clock::now() - start).count();
      });
    }
    for (std::thread& thread : pool) thread.join();
    best = std::max(best, threads * units / *std::max_element(seconds.begin(), seconds.end()));
  }
  return best / 1e9;
}

void print(const std::string& name, int threads, double value) {
  std::printf("{\"name\": \"%s\", \"threads\": %d, \"value\": %.1f}\n", name.c_str(), threads, value);
  std::fflush(stdout);
}

void measure_arithmetic(const std::string& name, int threads, int tries, double operations,
                        float (*work)(std::int64_t)) {
  constexpr std::int64_t kRounds = 1'000'000;
  print(name, threads,
        best_rate(threads, tries, kRounds * kChains * operations, [&](int) { return work(kRounds); }));
}

// Each thread reads its own part of `bytes`, without asking ahead and with it, again and again until at least
// 64 MB have gone by.
void measure_reading(const std::string& name, int threads, int tries, std::int64_t bytes) {
  const std::int64_t count = bytes / threads / 4 / 128 * 128;
  const std::int64_t passes = std::max<std::int64_t>(1, (std::int64_t{64} << 20) / (count * 4));
  const std::vector<float> data(count * threads, 1.0f);
  const auto rate = [&](float (*pass)(const float*, std::int64_t)) {
    return best_rate(threads, tries, static_cast<double>(count) * 4 * passes, [&](int thread) {
      float sum = 0;
      for (std::int64_t i = 0; i < passes; ++i) {
        sum += pass(data.data() + thread * count, count);
        __asm__ volatile("" ::: "memory");  // or one pass would serve for all
      }
      return sum;
    });
  };
  print(name, threads, std::max(rate(read<false>), rate(read<true>)));
}

}  // namespace

int main(int argc, char** argv) {
  const int max_threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const int tries = argc > 2 ? std::atoi(argv[2]) : 20;
  const pyengine::CpuFeatures cpu = pyengine::detect_cpu_features();
  if (!cpu.avx2_fma) return 0;
  for (int threads = 1; threads <= max_threads; ++threads) {
    measure_arithmetic("fma256", threads, tries, 16, fma256);
    if (cpu.avx512) measure_arithmetic("fma512", threads, tries, 32, fma512);
    measure_arithmetic("madd256", threads, tries, 32, madd256);
    if (cpu.avx512) measure_arithmetic("madd512", threads, tries, 64, madd512);
    if (cpu.avx512_vnni) measure_arithmetic("vnni256", threads, tries, 64, vnni256);
    if (cpu.avx512_vnni) measure_arithmetic("vnni512", threads, tries, 128, vnni512);
    measure_reading("read_16KB", threads, tries, std::int64_t{16} << 10);
    measure_reading("read_512KB", threads, tries, std::int64_t{512} << 10);
    measure_reading("read_8MB", threads, tries, std::int64_t{8} << 20);
    measure_reading("read_64MB", threads, tries, std::int64_t{64} << 20);
    measure_reading("read_512MB", threads, tries / 4 + 1, std::int64_t{512} << 20);
  }
}
