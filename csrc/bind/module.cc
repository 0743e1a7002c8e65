#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bind/kernels_bind.h"
#include "cpu/isa.h"

PYBIND11_MODULE(_core, m) {
  m.def("available_isas", &pyengine::available_isas);
  m.def("resolve_isa", [](const std::string& name) { return pyengine::select_kernels(name).name; });
  pyengine::bind_kernels(m);
}
