// Memory for vectors that live as long as a sentence is in flight, in blocks that then serve the next one.
#pragma once

#include <cstddef>
#include <map>
#include <memory_resource>
#include <mutex>
#include <vector>

#include "base/aligned_buffer.h"

namespace pyengine {

// In the heap such vectors would lie in the arena of whichever thread made them, and each arena keeps the
// most that it ever held: with 24 threads a gigabyte. Any number of threads may use it.
class PooledMemory : public std::pmr::memory_resource {
 public:
  // What it holds of the system's memory, in use or not.
  std::size_t bytes() const;

  // Gives all of it back. Nothing may be in use.
  void release();

 private:
  // A block that is not in use holds the address of the next one of its size.
  struct FreeBlock {
    FreeBlock* next;
  };

  void* do_allocate(std::size_t size, std::size_t alignment) override;
  void do_deallocate(void* memory, std::size_t size, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
  std::byte* new_block(std::size_t size);

  mutable std::mutex mutex_;                // guards what follows
  std::map<std::size_t, FreeBlock*> free_;  // by size
  std::vector<AlignedBuffer<std::byte>> slabs_;
  std::byte* next_ = nullptr;  // what is left of the slab that small blocks are cut from
  std::byte* end_ = nullptr;
};

}  // namespace pyengine
