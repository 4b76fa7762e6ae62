//===- Errors.h - kvq's errors as Python's exceptions -----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_PYTHON_ERRORS_H
#define KVQ_PYTHON_ERRORS_H

#include <nanobind/nanobind.h>
#include <string>

namespace kvq::python {

/// Raises `kvq.Error` with `message`, which is one line.
[[noreturn]] inline void raiseError(const std::string &message) {
  namespace nb = nanobind;
  nb::object type = nb::module_::import_("kvq._error").attr("Error");
  nb::object text = nb::steal(
      PyUnicode_DecodeUTF8(message.data(), static_cast<Py_ssize_t>(message.size()), "replace"));
  if (text.is_valid())
    PyErr_SetObject(type.ptr(), text.ptr());
  throw nb::python_error();
}

} // namespace kvq::python

#endif // KVQ_PYTHON_ERRORS_H
