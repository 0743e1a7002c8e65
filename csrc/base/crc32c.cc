#include "base/crc32c.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/thread_pool.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace pyengine {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // of Castagnoli, bits reversed
constexpr int kWordBytes = 8;
constexpr std::size_t kStreams = 3;  // the instruction takes three cycles, and begins one in each

// tables[i][b]: what byte b, followed by i zeros, adds to a checksum.
using Tables = std::array<std::array<std::uint32_t, 256>, kWordBytes>;

constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = sum;
  }
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    for (int i = 1; i < kWordBytes; ++i) {
      const std::uint32_t before = tables[i - 1][byte];
      tables[i][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

std::uint64_t read_word(const std::byte* bytes) {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

#if defined(__x86_64__)
// The checksums of so many sections of equal length, one after another.
template <std::size_t num_streams>
__attribute__((target("sse4.2"))) void crc32c_by_instruction(std::span<const std::byte> sections,
                                                             std::uint32_t* checksums) {
  const std::size_t section_bytes = sections.size() / num_streams, words = section_bytes / kWordBytes;
  std::uint64_t sums[num_streams];
  std::fill_n(sums, num_streams, 0xffffffff);
  for (std::size_t i = 0; i < words; ++i) {
    for (std::size_t stream = 0; stream < num_streams; ++stream) {
      const std::byte* word = sections.data() + stream * section_bytes + i * kWordBytes;
      sums[stream] = _mm_crc32_u64(sums[stream], read_word(word));
    }
  }
  for (std::size_t stream = 0; stream < num_streams; ++stream) {
    auto sum = static_cast<std::uint32_t>(sums[stream]);
    for (std::size_t i = words * kWordBytes; i < section_bytes; ++i) {
      sum = _mm_crc32_u8(sum, static_cast<unsigned char>(sections[stream * section_bytes + i]));
    }
    checksums[stream] = ~sum;
  }
}

bool has_instruction() { return __builtin_cpu_supports("sse4.2") != 0; }
#else
template <std::size_t num_streams>
void crc32c_by_instruction(std::span<const std::byte>, std::uint32_t*) {}
bool has_instruction() { return false; }
#endif

}  // namespace

std::uint32_t crc32c_by_tables(std::span<const std::byte> bytes) {
  std::uint32_t sum = 0xffffffff;
  while (bytes.size() >= kWordBytes) {
    const std::uint64_t word = read_word(bytes.data()) ^ sum;
    sum = 0;
    for (int i = 0; i < kWordBytes; ++i) sum ^= kTables[kWordBytes - 1 - i][(word >> 8 * i) & 0xff];
    bytes = bytes.subspan(kWordBytes);
  }
  for (const std::byte byte : bytes) {
    sum = (sum >> 8) ^ kTables[0][(sum ^ static_cast<std::uint32_t>(byte)) & 0xff];
  }
  return ~sum;
}

void crc32c_of_sections(std::span<const std::byte> bytes, std::size_t section_bytes, int num_threads,
                        std::span<std::uint32_t> checksums) {
  const bool instruction = has_instruction();
  const auto num_tasks = static_cast<int>((checksums.size() + kStreams - 1) / kStreams);
  ThreadPool::shared().run(num_tasks, num_threads, [&](int task, int) {
    const std::size_t first = static_cast<std::size_t>(task) * kStreams;
    const std::size_t end = std::min(first + kStreams, checksums.size());
    if (instruction && (first + kStreams) * section_bytes <= bytes.size()) {
      const auto sections = bytes.subspan(first * section_bytes, kStreams * section_bytes);
      crc32c_by_instruction<kStreams>(sections, &checksums[first]);
      return;
    }
    for (std::size_t i = first; i < end; ++i) {
      const std::size_t begin = i * section_bytes;
      const auto section = bytes.subspan(begin, std::min(section_bytes, bytes.size() - begin));
      if (instruction)
        crc32c_by_instruction<1>(section, &checksums[i]);
      else
        checksums[i] = crc32c_by_tables(section);
    }
  });
}

}  // namespace pyengine
