// The interpreter's lock, let go for a while.
#pragma once

#include <Python.h>

#include <exception>

#include "base/thread_storage.h"

namespace pyengine {

// Runs `work` without the interpreter's lock. Not with pybind11's guard: taking the lock back while the
// interpreter exits ends the thread by unwinding it, which a destructor would turn into an abort.
template <class Work>
void without_gil(Work work) {
  take_thread_storage();
  PyThreadState* state = PyEval_SaveThread();
  std::exception_ptr error;
  try {
    work();
  } catch (...) {
    error = std::current_exception();
  }
  PyEval_RestoreThread(state);
  if (error) std::rethrow_exception(error);
}

}  // namespace pyengine
