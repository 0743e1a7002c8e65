// Checks of what the code itself promises. Values from outside are checked in Python, shapes at the
// edges of csrc; inside, a broken promise is a bug and stops a debug build.
#pragma once

#include <cassert>

// Active unless NDEBUG is defined: in the sanitizer builds, not in the wheel.
#define PE_DCHECK(condition) assert(condition)
