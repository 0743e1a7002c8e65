// Memory for tensors: contiguous, 64-byte aligned, not initialised.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace pyengine {

// A cache line, and the width of the widest vector.
inline constexpr std::size_t kAlignment = 64;

// What one entry of the processor's second page size covers.
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

// `size` bytes; large ones straight from the system, from kHugePage on in huge pages where it has them.
// Throws std::bad_alloc.
void* allocate_aligned(std::size_t size);
void free_aligned(void* memory, std::size_t size) noexcept;

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
  ~AlignedBuffer() {
    if (data_ != nullptr) free_aligned(data_, bytes());
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(T); }

 private:
  static T* allocate(std::size_t size) {
    if (size == 0) return nullptr;
    return static_cast<T*>(allocate_aligned(size * sizeof(T)));
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pyengine
