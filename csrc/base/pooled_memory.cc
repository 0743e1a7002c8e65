#include "base/pooled_memory.h"

#include <algorithm>
#include <bit>
#include <new>

#include "base/check.h"

namespace pyengine {
namespace {

// Blocks are cut from slabs of this size, which come from the system directly.
constexpr std::size_t kSlab = std::size_t{1} << 20;

// Larger blocks are slabs of their own.
constexpr std::size_t kLargestCut = kSlab / 2;

// Few sizes, so that blocks fit again: four between a power of two and the next.
std::size_t block_size(std::size_t size) {
  const std::size_t step = std::max(std::bit_ceil(size) / 8, kAlignment);
  return (size + step - 1) / step * step;
}

}  // namespace

std::size_t PooledMemory::bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t sum = 0;
  for (const auto& slab : slabs_) sum += slab.bytes();
  return sum;
}

void PooledMemory::release() {
  const std::lock_guard lock(mutex_);
  free_.clear();
  slabs_.clear();
  next_ = end_ = nullptr;
}

void* PooledMemory::do_allocate(std::size_t size, [[maybe_unused]] std::size_t alignment) {
  PE_DCHECK(alignment <= kAlignment);
  const std::lock_guard lock(mutex_);
  size = block_size(size);
  FreeBlock*& first = free_[size];  // made here, so that giving back allocates nothing
  if (first == nullptr) return new_block(size);
  FreeBlock* const block = first;
  first = block->next;
  return block;
}

void PooledMemory::do_deallocate(void* memory, std::size_t size, std::size_t) {
  const std::lock_guard lock(mutex_);
  FreeBlock*& first = free_.find(block_size(size))->second;
  first = new (memory) FreeBlock{first};
}

std::byte* PooledMemory::new_block(std::size_t size) {
  if (size > kLargestCut) return slabs_.emplace_back(size).data();
  if (static_cast<std::size_t>(end_ - next_) < size) {
    next_ = slabs_.emplace_back(kSlab).data();
    end_ = next_ + kSlab;
  }
  std::byte* const block = next_;
  next_ += size;
  return block;
}

}  // namespace pyengine
