#include "base/aligned_buffer.h"

#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace pyengine {
namespace {

constexpr std::align_val_t alignment_of(std::size_t size) {
  return std::align_val_t(size < kHugePage ? kAlignment : kHugePage);
}

}  // namespace

void* allocate_aligned(std::size_t size) {
  void* memory = ::operator new(size, alignment_of(size));
#if defined(__linux__)
  // Where it fails the pages are small.
  if (size >= kHugePage) madvise(memory, size / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return memory;
}

void free_aligned(void* memory, std::size_t size) noexcept { ::operator delete(memory, alignment_of(size)); }

}  // namespace pyengine
