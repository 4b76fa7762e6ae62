//===- TensorView.cpp - A Python tensor, as a kernel needs it -------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorView.h"
#include "Errors.h"
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <unordered_map>

namespace nb = nanobind;
using namespace kvq::python;
using namespace kvq::python::dlpack;

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

namespace {

struct NamedType {
  const char *name;
  DataType type;
};

} // namespace

static constexpr NamedType kTypes[] = {
    {"uint8", {UInt, 8, 1}},
    {"int8", {Int, 8, 1}},
    {"int32", {Int, 32, 1}},
    {"int64", {Int, 64, 1}},
    {"uint64", {UInt, 64, 1}},
    {"float16", {Float, 16, 1}},
    {"float32", {Float, 32, 1}},
    {"float64", {Float, 64, 1}},
    {"bool", {Bool, 8, 1}},
    {"bfloat16", {BFloat, 16, 1}},
    {"float8_e4m3fn", {Float8E4M3FN, 8, 1}},
    {"float8_e4m3fnuz", {Float8E4M3FNUZ, 8, 1}},
    {"float8_e5m2", {Float8E5M2, 8, 1}},
    {"float8_e5m2fnuz", {Float8E5M2FNUZ, 8, 1}},
};

std::string kvq::python::describe(const DataType &dtype) {
  for (const NamedType &named : kTypes)
    if (named.type == dtype)
      return named.name;
  return "a type of " + std::to_string(dtype.bits) + " bits, DLPack's code " +
         std::to_string(dtype.code);
}

std::string kvq::python::describe(const Device &device) {
  std::string id = ":" + std::to_string(device.id);
  switch (device.type) {
  case CPU:
    return "cpu";
  case CUDA:
    return "cuda" + id;
  case ROCM:
    return "rocm" + id;
  case CUDAHost:
  case ROCMHost:
    return "pinned memory";
  case CUDAManaged:
    return "managed memory";
  }
  return "device type " + std::to_string(device.type) + id;
}

//===----------------------------------------------------------------------===//
// Frameworks
//===----------------------------------------------------------------------===//

namespace {

/// How tensors of a Python type are taken.
struct Producer {
  enum class Way { None, Exchange, Buffer, Capsule } way = Way::None;
  const ExchangeTable *exchange = nullptr;
};

} // namespace

/// DLPack's table of a type, of this major version; null where it has none.
static const ExchangeTable *findExchange(PyTypeObject *type) {
  nb::object attribute = nb::getattr(nb::handle(reinterpret_cast<PyObject *>(type)),
                                     "__dlpack_c_exchange_api__", nb::none());
  if (!PyCapsule_IsValid(attribute.ptr(), "dlpack_exchange_api"))
    return nullptr;
  auto *header =
      static_cast<ExchangeHeader *>(PyCapsule_GetPointer(attribute.ptr(), "dlpack_exchange_api"));
  while (header && header->version.major != kMajorVersion)
    header = header->previous;
  auto *table = reinterpret_cast<const ExchangeTable *>(header);
  return table && table->toTensor ? table : nullptr;
}

static Producer findProducer(nb::handle object) {
  Producer producer;
  producer.exchange = findExchange(Py_TYPE(object.ptr()));
  if (producer.exchange)
    producer.way = Producer::Way::Exchange;
  else if (PyObject_CheckBuffer(object.ptr()) && nb::hasattr(object, "__array_interface__"))
    producer.way = Producer::Way::Buffer;
  else if (nb::hasattr(object, "__dlpack__"))
    producer.way = Producer::Way::Capsule;
  return producer;
}

/// The same, looked up once a type. Types stay referenced, so that none comes to
/// lie where another was.
static const Producer &getProducer(nb::handle object) {
  static auto &known = *new std::unordered_map<PyTypeObject *, Producer>();
  static PyTypeObject *lastType = nullptr;
  static const Producer *last = nullptr;
  PyTypeObject *type = Py_TYPE(object.ptr());
  if (type == lastType)
    return *last;
  auto found = known.find(type);
  if (found == known.end()) {
    Producer producer = findProducer(object);
    Py_INCREF(reinterpret_cast<PyObject *>(type));
    found = known.emplace(type, producer).first;
  }
  lastType = type;
  last = &found->second;
  return *last;
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

[[noreturn]] static void raiseUnusable(nb::handle object, const char *name,
                                       const std::string &reason) {
  raiseError("expected '" + std::string(name) + "' to be a tensor that speaks DLPack, but got '" +
             nb::inst_name(object).c_str() + "'" + reason);
}

/// The exception that is set, as the end of a message.
static std::string takeReason() {
  nb::python_error error;
  nb::object text = nb::steal(PyObject_Str(error.value().ptr()));
  if (!text.is_valid()) {
    PyErr_Clear();
    return "";
  }
  std::string reason = nb::cast<std::string>(text);
  return ": " + reason.substr(0, reason.find('\n'));
}

TensorView::TensorView(nb::handle object, const char *name, Stream &stream) {
  const Producer &producer = getProducer(object);
  exchange = producer.exchange;
  switch (producer.way) {
  case Producer::Way::Exchange: {
    Tensor tensor;
    if (exchange->toTensor(object.ptr(), &tensor))
      raiseUnusable(object, name, takeReason());
    takeTensor(tensor, name);
    break;
  }
  case Producer::Way::Buffer:
    takeBuffer(object, name);
    break;
  case Producer::Way::Capsule:
    takeCapsule(object, name, stream);
    break;
  case Producer::Way::None:
    raiseUnusable(object, name, "");
  }
}

[[noreturn]] static void raiseDims(const char *name, int ndim) {
  raiseError("expected '" + std::string(name) + "' to have at most " +
             std::to_string(TensorView::kMaxDims) + " dimensions, but got " + std::to_string(ndim));
}

void TensorView::takeTensor(const Tensor &tensor, const char *name) {
  if (tensor.ndim > kMaxDims)
    raiseDims(name, tensor.ndim);
  data = static_cast<char *>(tensor.data) + tensor.byteOffset;
  device = tensor.device;
  dtype = tensor.dtype;
  ndim = tensor.ndim;
  int64_t compact = 1;
  for (int i = ndim; i-- > 0;) {
    shape[i] = tensor.shape[i];
    strides[i] = tensor.strides ? tensor.strides[i] : compact;
    compact *= shape[i];
  }
}

/// The type of numpy's dtype `object`, looked up once.
static DataType getBufferType(nb::handle object, const char *name) {
  static auto &known = *new std::unordered_map<PyObject *, DataType>();
  auto found = known.find(object.ptr());
  if (found != known.end())
    return found->second;
  std::string text = nb::cast<std::string>(nb::str(object.attr("name")));
  for (const NamedType &named : kTypes) {
    if (text != named.name || !nb::cast<bool>(object.attr("isnative")))
      continue;
    // numpy has one object a type; what makes new ones is not to fill the table.
    if (known.size() < 64) {
      object.inc_ref();
      known.emplace(object.ptr(), named.type);
    }
    return named.type;
  }
  raiseError("expected '" + std::string(name) + "' to have an element type of DLPack, but got '" +
             nb::cast<std::string>(nb::str(object)) + "'");
}

void TensorView::takeBuffer(nb::handle object, const char *name) {
  dtype = getBufferType(object.attr("dtype"), name);
  // Without the format, which numpy has none of for ml_dtypes' types.
  const Py_buffer &view = buffer.view;
  if (PyObject_GetBuffer(object.ptr(), &buffer.view, PyBUF_STRIDES))
    raiseUnusable(object, name, takeReason());
  buffer.isTaken = true;
  if (view.ndim > kMaxDims)
    raiseDims(name, view.ndim);
  data = static_cast<char *>(view.buf);
  isReadOnly = view.readonly;
  ndim = view.ndim;
  for (int i = 0; i < ndim; ++i) {
    shape[i] = view.shape[i];
    if (shape[i] > 1 && view.strides[i] % view.itemsize)
      raiseError("expected '" + std::string(name) + "' to have strides of whole elements");
    strides[i] = view.strides[i] / view.itemsize;
  }
}

void TensorView::takeCapsule(nb::handle object, const char *name, Stream &stream) {
  nb::object device = nb::steal(PyObject_CallMethod(object.ptr(), "__dlpack_device__", nullptr));
  if (!device.is_valid())
    raiseUnusable(object, name, takeReason());
  auto type = nb::cast<std::pair<int, int>>(device).first;
  nb::dict keywords;
  if (type == CUDA || type == ROCM || type == CUDAManaged)
    keywords["stream"] = nb::int_(stream.getNumber());
  nb::object function = object.attr("__dlpack__");
  nb::tuple none;
  nb::dict versioned;
  versioned.update(keywords);
  versioned["max_version"] = nb::make_tuple(kMajorVersion, 3);
  capsule = nb::steal(PyObject_Call(function.ptr(), none.ptr(), versioned.ptr()));
  if (!capsule.is_valid() && PyErr_ExceptionMatches(PyExc_TypeError)) {
    // Before version 1 there was no such argument.
    PyErr_Clear();
    capsule = nb::steal(PyObject_Call(function.ptr(), none.ptr(), keywords.ptr()));
  }
  if (!capsule.is_valid())
    raiseUnusable(object, name, takeReason());
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    auto *managed = static_cast<ManagedTensorVersioned *>(
        PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
    if (managed->version.major != kMajorVersion)
      raiseUnusable(object, name, " of another major version");
    isReadOnly = managed->flags & kFlagReadOnly;
    return takeTensor(managed->tensor, name);
  }
  if (!PyCapsule_IsValid(capsule.ptr(), "dltensor"))
    raiseUnusable(object, name, ", whose '__dlpack__' gives no capsule of a tensor");
  takeTensor(static_cast<ManagedTensor *>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"))->tensor,
             name);
}

bool TensorView::isCompactFrom(int first) const {
  int64_t compact = 1;
  for (int i = ndim; i-- > first;) {
    if (shape[i] == 0)
      return true;
    if (shape[i] != 1 && strides[i] != compact)
      return false;
    compact *= shape[i];
  }
  return true;
}
