// Read-only memory of a model: its own, shared with another part of the model, or part of a mapped file.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "base/aligned_buffer.h"

namespace pyengine {

// Copies share the memory. 64-byte aligned.
template <class T>
class Array {
 public:
  Array() = default;

  explicit Array(AlignedBuffer<T> buffer) {
    auto owner = std::make_shared<const AlignedBuffer<T>>(std::move(buffer));
    data_ = owner->data();
    size_ = owner->size();
    owner_ = std::move(owner);
  }

  // `size` entries at `data`, which `owner` keeps alive.
  Array(std::shared_ptr<const void> owner, const T* data, std::size_t size)
      : owner_(std::move(owner)), data_(data), size_(size) {}

  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(T); }

  // The same memory.
  Array<std::byte> as_bytes() const { return {owner_, reinterpret_cast<const std::byte*>(data_), bytes()}; }

 private:
  std::shared_ptr<const void> owner_;
  const T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pyengine
