//===- RuntimeModule.cpp - The runtime as a Python module -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// kvq._runtime: artefacts and their kernels on tensors, without LLVM. Names and
// types for users are in the package's Python files.
//
//===----------------------------------------------------------------------===//

#include "Errors.h"
#include "Operation.h"
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace kvq;
using namespace kvq::python;

/// What `work` gives; an error of the runtime is raised as kvq.Error.
template <typename Work> static auto orRaise(Work work) {
  try {
    return work();
  } catch (const kvq::Error &error) {
    raiseError(error.what());
  }
}

static runtime::Artefact open(const nb::bytes &folder, int kind, int ordinal, bool allowPtx,
                              const std::string &target) {
  std::string path(folder.c_str(), folder.size());
  runtime::OpenOptions options;
  options.device = kind;
  options.ordinal = ordinal;
  options.allowPtx = allowPtx;
  options.target = target;
  return orRaise([&] {
    nb::gil_scoped_release release;
    return runtime::Artefact::open(path, options);
  });
}

static nb::object textOrNone(const char *text) {
  return text ? nb::object(nb::str(text)) : nb::none();
}

static nb::dict describeArtefact(const runtime::Artefact &artefact) {
  kvq_artefact_info info = orRaise([&] { return artefact.info(); });
  nb::dict result;
  result["target"] = textOrNone(info.target);
  result["backend"] = textOrNone(info.backend);
  result["file"] = textOrNone(info.file);
  result["file_kind"] = textOrNone(info.file_kind);
  result["cache_type"] = textOrNone(info.cache_type);
  result["fnuz"] = bool(info.fnuz);
  result["ordinal"] = info.ordinal;
  result["device_kind"] = info.device_kind;
  result["device_chip"] = textOrNone(info.device_chip);
  result["device_name"] = textOrNone(info.device_name);
  result["tensor_parallel_size"] = info.tensor_parallel_size;
  return result;
}

static nb::list describeLayers(const runtime::Artefact &artefact) {
  nb::list result;
  size_t count = orRaise([&] { return artefact.numLayers(); });
  for (size_t i = 0; i < count; ++i) {
    kvq_layer_info info = orRaise([&] { return artefact.layer(i); });
    nb::dict layer, scales;
    const char *names[] = {"q", "k", "v", "prob"};
    for (size_t s = 0; s < 4; ++s)
      scales[names[s]] = info.scales[s];
    nb::list ops;
    for (size_t op = 0; op < info.num_ops; ++op)
      ops.append(nb::str(info.ops[op]));
    layer["name"] = info.name;
    layer["index"] = info.index;
    layer["scales"] = scales;
    layer["calculate_kv_scales"] = bool(info.calculate_kv_scales);
    layer["ops"] = ops;
    result.append(layer);
  }
  return result;
}

static nb::dict describeKernel(const Operation &operation) {
  const runtime::Kernel &kernel = operation.getKernel();
  kvq_kernel_info info = orRaise([&] { return kernel.info(); });
  nb::dict result, scales;
  result["layer"] = info.layer;
  result["op"] = info.op;
  result["symbol"] = info.symbol;
  result["layout"] = info.layout;
  result["source_type"] = info.source_type;
  result["cache_type"] = info.cache_type;
  result["num_kv_heads"] = info.num_kv_heads;
  result["head_size"] = info.head_size;
  result["block_size"] = info.block_size;
  result["num_variants"] = info.num_variants;
  for (const kvq_scale_info &scale : orRaise([&] { return kernel.scales(); })) {
    nb::list values;
    for (size_t i = 0; i < scale.num_values; ++i)
      values.append(scale.values[i]);
    scales[scale.name] = nb::make_tuple(nb::str(scale.method), values);
  }
  result["scales"] = scales;
  bool mayTakeScales = false;
  for (const TensorArgument &argument : operation.getTensors())
    mayTakeScales |= argument.role == Role::Single && argument.isNullable;
  result["may_take_scales"] = mayTakeScales;
  return result;
}

/// (name, whether it is written, whether it is given by its name alone) of each.
static nb::list describeTensors(const Operation &operation) {
  nb::list result;
  for (const TensorArgument &argument : operation.getTensors())
    result.append(nb::make_tuple(argument.name, argument.isWritten, argument.isKeyword));
  return result;
}

/// operation(*tensors, stream=None), by Python's own calling convention.
static PyObject *callOperation(PyObject *self, PyObject *const *arguments, Py_ssize_t count,
                               PyObject *keywords) {
  try {
    nb::inst_ptr<Operation>(nb::handle(self))->call(arguments, count, keywords);
  } catch (nb::python_error &error) {
    error.restore();
    return nullptr;
  } catch (const std::exception &error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
    return nullptr;
  }
  Py_RETURN_NONE;
}

static nb::object makeFunction(nb::handle operation) {
  static PyMethodDef method = {
      "launch", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(callOperation)),
      METH_FASTCALL | METH_KEYWORDS,
      "Checks the tensors and launches the kernel; see kvq.Layer for the arguments."};
  return nb::steal(PyCFunction_New(&method, operation.ptr()));
}

NB_MODULE(_runtime, m) {
  m.doc() = "kvq's runtime on tensors; see kvq.open.";
  m.attr("AUTO") = int(KVQ_DEVICE_AUTO);
  m.attr("HOST") = int(KVQ_DEVICE_HOST);
  m.attr("CUDA") = int(KVQ_DEVICE_CUDA);
  m.attr("HIP") = int(KVQ_DEVICE_HIP);
  m.attr("CURRENT_DEVICE") = int(KVQ_CURRENT_DEVICE);

  nb::class_<Operation>(m, "Operation", "A layer's kernels for one operation, to be called.")
      .def_prop_ro("function", makeFunction,
                   "What checks its tensors and launches: a function of Python's own, which is "
                   "called without making a tuple of its arguments.")
      .def_prop_ro("description", describeKernel, "The kernel: symbol, geometry, types, scales.")
      .def_prop_ro("tensors", describeTensors,
                   "Name, whether it is written, and whether it is given by its name alone, of "
                   "each tensor.");

  nb::class_<runtime::Artefact>(m, "Artefact", "An opened directory, its code on one device.")
      .def_prop_ro("description", describeArtefact, "What was chosen.")
      .def_prop_ro("layers", describeLayers, "What is known of each layer, in order.")
      .def(
          "operation",
          [](const runtime::Artefact &artefact, const std::string &layer, const std::string &op) {
            return orRaise([&] { return Operation(artefact.kernel(layer, op), artefact.info()); });
          },
          nb::arg("layer"), nb::arg("op"), "The kernels of an operation of a layer.");

  m.def("open", open, nb::arg("folder"), nb::arg("device_kind"), nb::arg("ordinal"),
        nb::arg("allow_ptx"), nb::arg("target"), "Opens a directory for a device.");
}
