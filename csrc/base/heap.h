// The heap of the process, which the engine shares with its host.
#pragma once

#include <cstdlib>  // defines __GLIBC__

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace pyengine {

// Gives pages of the heap that hold nothing back to the system. glibc does so by itself only at the end of an
// arena, of which each thread may have one.
inline void trim_heap() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace pyengine
