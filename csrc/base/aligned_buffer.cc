#include "base/aligned_buffer.h"

#include <cstdint>
#include <new>

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#define PYENGINE_MAPS_LARGE_BUFFERS 1
#include <sys/mman.h>
#endif

namespace pyengine {
namespace {

#ifdef PYENGINE_MAPS_LARGE_BUFFERS

// From this size on memory comes from the system and goes back to it at once. In the heap, what a growing
// workspace gives back stayed resident: 8 of the 92 MB of Firefox's model. What a sentence takes is smaller.
constexpr std::size_t kMapped = std::size_t{512} << 10;
constexpr std::size_t kPage = 4096;

std::size_t mapped_size(std::size_t size) { return (size + kPage - 1) / kPage * kPage; }

// From kHugePage on at a multiple of it, in huge pages where the system has them.
void* map_memory(std::size_t size) {
  const std::size_t length = mapped_size(size), spare = size < kHugePage ? 0 : kHugePage;
  void* mapped = mmap(nullptr, length + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  if (spare == 0) return mapped;
  auto* begin = static_cast<std::byte*>(mapped);
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  if (before > 0) munmap(begin, before);
  if (before < spare) munmap(begin + before + length, spare - before);
  madvise(begin + before, size / kHugePage * kHugePage, MADV_HUGEPAGE);  // where it fails the pages are small
  return begin + before;
}

#endif

}  // namespace

void* allocate_aligned(std::size_t size) {
#ifdef PYENGINE_MAPS_LARGE_BUFFERS
  if (size >= kMapped) return map_memory(size);
#endif
  return ::operator new(size, std::align_val_t(kAlignment));
}

void free_aligned(void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef PYENGINE_MAPS_LARGE_BUFFERS
  if (size >= kMapped) {
    munmap(memory, mapped_size(size));
    return;
  }
#endif
  ::operator delete(memory, std::align_val_t(kAlignment));
}

}  // namespace pyengine
