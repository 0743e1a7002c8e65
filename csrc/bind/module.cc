// The extension module pyengine._core.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bind/engine_bind.h"
#include "bind/kernels_bind.h"
#include "bind/weights_bind.h"
#include "cpu/isa.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core of pyengine.";
  m.def("available_isas", &pyengine::available_isas,
        "Instruction sets that this build and this CPU can run, best first.");
  m.def(
      "resolve_isa", [](const std::string& name) { return std::string(pyengine::select_kernels(name).name); },
      pybind11::arg("name") = "",
      "The instruction set that `name` selects; '' reads PYENGINE_ISA, else takes the best. Raises "
      "ValueError.");
  pyengine::bind_weights(m);
  pyengine::bind_engine(m);
  pyengine::bind_kernels(m);
}
