// Structs that declare their fields (base/fields.h) as Python sees them: made of a dictionary, then read
// only.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace pyengine {

// An enumeration whose values have names: name_of(value), null after the last.
template <class T>
concept NamedEnum = std::is_enum_v<T> && requires(T value) {
  { name_of(value) } -> std::same_as<const char*>;
};

template <class T>
pybind11::object to_python(const T& value) {
  return pybind11::cast(value);
}

template <NamedEnum Enum>
pybind11::object to_python(const Enum& value) {
  return pybind11::str(name_of(value));
}

template <class T>
void from_python(pybind11::handle object, T& value) {
  value = object.cast<T>();
}

template <NamedEnum Enum>
void from_python(pybind11::handle object, Enum& value) {
  const auto wanted = object.cast<std::string>();
  std::string known;
  for (int i = 0; name_of(static_cast<Enum>(i)) != nullptr; ++i) {
    const std::string name = name_of(static_cast<Enum>(i));
    if (name == wanted) {
      value = static_cast<Enum>(i);
      return;
    }
    known += (known.empty() ? "" : ", ") + name;
  }
  throw std::invalid_argument("'" + wanted + "', expected one of " + known);
}

// Reads one field; errors name it.
template <class T>
void read_field(const char* name, pybind11::handle object, T& value) {
  try {
    from_python(object, value);
  } catch (const pybind11::cast_error&) {
    throw pybind11::type_error(std::string(name) + " is " +
                               pybind11::repr(object).template cast<std::string>() +
                               ", expected another type");
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string(name) + " is " + error.what());
  }
}

// Names the first key that is no field of T.
template <class T>
[[noreturn]] void throw_unknown(const pybind11::dict& values) {
  pybind11::set known;
  T::visit_fields([&](const char* name, auto&&...) { known.add(name); });
  std::string unknown;
  for (const auto& item : values) {
    if (unknown.empty() && !known.contains(item.first)) unknown = pybind11::repr(item.first);
  }
  throw pybind11::type_error("found " + unknown + ", which is no field");
}

// T of the values of a dictionary; a field that it does not hold, or holds as None, keeps its default.
template <class T>
T from_dict(const pybind11::dict& values) {
  T result;
  std::size_t num_found = 0;
  T::visit_fields([&](const char* name, auto field, auto&&...) {
    const auto key = pybind11::reinterpret_steal<pybind11::str>(PyUnicode_InternFromString(name));
    PyObject* value = PyDict_GetItemWithError(values.ptr(), key.ptr());  // borrowed
    if (value == nullptr) return;
    ++num_found;
    if (value != Py_None) read_field(name, value, result.*field);
  });
  if (num_found != values.size()) throw_unknown<T>(values);
  return result;
}

// Adds to the class of T its constructor from a dictionary and a property for each field.
template <class T>
void bind_fields(pybind11::class_<T>& bound) {
  bound.def(pybind11::init(&from_dict<T>), pybind11::arg("values"));
  T::visit_fields([&](const char* name, auto field, auto&&...) {
    bound.def_property_readonly(name, [field](const T& self) { return to_python(self.*field); });
  });
}

}  // namespace pyengine
