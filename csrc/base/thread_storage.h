// What a thread takes of memory when it begins, since later there may be none.
#pragma once

#include <exception>

#include "base/aligned_buffer.h"

namespace pyengine {

// The C++ library keeps what is thrown in storage of the thread, which glibc makes at the first use, and ends
// the process where it finds no memory for it: throwing std::bad_alloc must not be that use.
inline void take_thread_storage() { static_cast<void>(std::current_exception()); }

// Held by a thread that is being started, so that it finds memory for its storage.
class ThreadReserve {
 public:
  // Throws std::bad_alloc.
  ThreadReserve() : memory_(kSize) {}

  // Called by the new thread.
  void use() {
    memory_ = AlignedBuffer<std::byte>();
    take_thread_storage();
  }

 private:
  // glibc takes at least a megabyte at a time from the system; never written, so it costs two calls of that.
  static constexpr std::size_t kSize = std::size_t{3} << 19;

  AlignedBuffer<std::byte> memory_;
};

}  // namespace pyengine
