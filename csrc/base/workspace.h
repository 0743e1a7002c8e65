// Scratch memory of a forward pass, taken piece by piece and given back all at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/aligned_buffer.h"

namespace pyengine {

// Pieces come from one block. A pass that needs more than the block holds takes the rest from the heap;
// the next reset() makes one block that is large enough, so passes of a size seen before allocate nothing.
// It grows by half at least: each step of a decoder needs a little more than the one before.
class Workspace {
 public:
  // `count` uninitialised entries, 64-byte aligned, valid until reset() or the end of the scope around it.
  // Throws std::bad_alloc.
  template <class T>
  T* take(std::size_t count) {
    return reinterpret_cast<T*>(take_bytes(count * sizeof(T)));
  }

  // Gives every piece back.
  void reset() {
    if (largest_ > block_.size()) {
      const std::size_t size = std::max(largest_, block_.size() + block_.size() / 2);
      overflow_.clear();
      block_ = AlignedBuffer<std::byte>();
      block_ = AlignedBuffer<std::byte>(size);
    }
    used_ = 0;
  }

  // Gives back at its end what was taken in its life, to be taken again.
  class Scope {
   public:
    explicit Scope(Workspace& workspace)
        : workspace_(workspace), used_(workspace.used_), num_overflows_(workspace.overflow_.size()) {}
    ~Scope() {
      workspace_.used_ = used_;
      while (workspace_.overflow_.size() > num_overflows_) workspace_.overflow_.pop_back();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Workspace& workspace_;
    std::size_t used_;
    std::size_t num_overflows_;
  };

  std::size_t bytes() const { return block_.bytes(); }

  // Gives its memory to the system. No piece may be in use.
  void release() {
    overflow_.clear();
    block_ = AlignedBuffer<std::byte>();
    used_ = largest_ = 0;
  }

 private:
  std::byte* take_bytes(std::size_t bytes) {
    const std::size_t begin = used_;
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    largest_ = std::max(largest_, used_);
    if (used_ <= block_.size()) return block_.data() + begin;
    overflow_.emplace_back(bytes);
    return overflow_.back().data();
  }

  AlignedBuffer<std::byte> block_;
  std::vector<AlignedBuffer<std::byte>> overflow_;
  std::size_t used_ = 0;     // bytes, of the block and beyond it
  std::size_t largest_ = 0;  // the most that was used at once
};

}  // namespace pyengine
