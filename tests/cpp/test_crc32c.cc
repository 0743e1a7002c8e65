#include <doctest/doctest.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/crc32c.h"

using namespace pyengine;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

TEST_CASE("the checksum of RFC 3720") { CHECK(crc32c_by_tables(bytes_of("123456789")) == 0xe3069283); }

TEST_CASE("sections have the checksums that the tables give, on any number of threads") {
  std::vector<std::byte> bytes(1000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i * 7 + i / 3);
  for (const std::size_t section_bytes : {1, 7, 8, 64, 100, 250, 333, 1000, 5000}) {
    for (const std::size_t size : {std::size_t{1}, section_bytes, std::size_t{999}, bytes.size()}) {
      const auto part = std::span<const std::byte>(bytes).first(std::min(size, bytes.size()));
      std::vector<std::uint32_t> found((part.size() + section_bytes - 1) / section_bytes);
      for (const int num_threads : {1, 3}) {
        std::fill(found.begin(), found.end(), 0);
        crc32c_of_sections(part, section_bytes, num_threads, found);
        for (std::size_t i = 0; i < found.size(); ++i) {
          const std::size_t begin = i * section_bytes;
          const auto section = part.subspan(begin, std::min(section_bytes, part.size() - begin));
          CHECK(found[i] == crc32c_by_tables(section));
        }
      }
    }
  }
}
