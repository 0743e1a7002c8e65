// Memory for tensors: contiguous, 64-byte aligned, not initialised.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

namespace pyengine {

// A cache line, and the width of the widest vector.
inline constexpr std::size_t kAlignment = 64;

template <class T>
class AlignedBuffer {
  static_assert(std::is_trivial_v<T>);

 public:
  AlignedBuffer() = default;

  // Throws std::bad_alloc.
  explicit AlignedBuffer(std::size_t size) : data_(allocate(size)), size_(size) {}

  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() { std::free(data_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(T); }

 private:
  static T* allocate(std::size_t size) {
    // aligned_alloc wants a multiple of the alignment; the tail also lets a vector end past the last entry.
    const std::size_t bytes = (size * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    void* data = bytes == 0 ? nullptr : std::aligned_alloc(kAlignment, bytes);
    if (bytes != 0 && data == nullptr) throw std::bad_alloc();
    return static_cast<T*>(data);
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pyengine
