//===- Operation.cpp - An operation of a layer, on tensors ----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Operation.h"
#include "Errors.h"
#include <nanobind/stl/string.h>

namespace nb = nanobind;
using namespace kvq;
using namespace kvq::python;

/// The tensors of a call, by their places in the operation's list.
class Operation::Views {
public:
  void take(size_t place, nb::handle object, const char *name, TensorView::Stream &stream) {
    views[place].emplace(object, name, stream);
  }
  /// Null for a tensor that was left out.
  const TensorView *operator[](size_t place) const {
    return views[place] ? &*views[place] : nullptr;
  }

private:
  std::optional<TensorView> views[kMaxTensors];
};

//===----------------------------------------------------------------------===//
// Once for a kernel
//===----------------------------------------------------------------------===//

Operation::Operation(runtime::Kernel found, const kvq_artefact_info &artefact)
    : kernel(std::move(found)), deviceKind(artefact.device_kind), ordinal(artefact.ordinal) {
  kvq_kernel_info info = kernel.info();
  prefix = std::string("layer '") + info.layer + "', op '" + info.op + "': ";
  headSize = info.head_size;
  numArguments = info.num_arguments;
  std::vector<kvq_argument_info> arguments = kernel.arguments();
  auto unknown = [&](const char *name) {
    refuse("the kernel has the argument '" + std::string(name) +
           "', which this version of kvq does not know");
  };
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].type != KVQ_TYPE_PTR)
      continue;
    std::optional<TensorArgument> tensor = TensorArgument::make(arguments[i], i, info);
    if (!tensor || tensors.size() == kMaxTensors)
      unknown(arguments[i].name);
    numPositional += !tensor->isKeyword;
    const std::string ending = "_fp8";
    if (size_t cut = tensor->name.rfind(ending); cut != std::string::npos)
      tensor->isCopyOf = findTensor(tensor->name.substr(0, cut));
    tensors.push_back(std::move(*tensor));
  }
  slots = findTensor("slot_mapping");
  lens = findTensor("cu_seq_lens");
  latent = findTensor("kv_c");
  rotary = findTensor("k_pe");
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].type == KVQ_TYPE_PTR)
      continue;
    Scalar scalar = makeScalar(arguments[i], info);
    if (scalar.tensor >= tensors.size())
      unknown(arguments[i].name);
    scalar.index = i;
    hasTokens |= scalar.source == Scalar::Source::Tokens;
    scalars.push_back(scalar);
  }
}

size_t Operation::findTensor(const std::string &name) const {
  size_t place = 0;
  while (place < tensors.size() && tensors[place].name != name)
    ++place;
  return place;
}

Operation::Scalar Operation::makeScalar(const kvq_argument_info &argument,
                                        const kvq_kernel_info &info) const {
  using Source = Scalar::Source;
  std::string name = argument.name;
  if (name == "num_tokens")
    return {0, Source::Tokens};
  if (name == "num_blocks")
    return {0, Source::Blocks};
  if (name == "batch")
    return {0, Source::Sequences, findTensor("cu_seq_lens")};
  if (name == "num_rows")
    return {0, Source::Size, findTensor("prob"), 0};
  if (name == "num_columns")
    return {0, Source::Size, findTensor("prob"), 1};
  const std::string ending = "_stride";
  if (name.size() <= ending.size() || name.substr(name.size() - ending.size()) != ending)
    return {0, Source::Stride, tensors.size()};
  std::string owner = name.substr(0, name.size() - ending.size());
  size_t tensor = findTensor(owner);
  if (tensor < tensors.size())
    return {0, Source::Stride, tensor, 0};
  size_t cut = owner.rfind('_');
  if (cut == std::string::npos)
    return {0, Source::Stride, tensors.size()};
  return {0, Source::Stride, findTensor(owner.substr(0, cut) + "_cache"),
          getStrideDimension(info.layout, owner.substr(cut + 1))};
}

void Operation::refuse(const std::string &text) const { raiseError(prefix + text); }

//===----------------------------------------------------------------------===//
// For each call
//===----------------------------------------------------------------------===//

nb::handle &Operation::findKeyword(PyObject *name, Given &given) const {
  auto is = [&](const char *word) { return PyUnicode_CompareWithASCIIString(name, word) == 0; };
  for (size_t i = 0; i < tensors.size(); ++i)
    if (is(tensors[i].name.c_str()))
      return given.tensors[i];
  if (is("stream"))
    return given.stream;
  if (is("num_tokens") && hasTokens && slots == tensors.size())
    return given.numTokens;
  std::string known;
  for (const TensorArgument &argument : tensors)
    known += "'" + argument.name + "', ";
  refuse("expected arguments among " + known + "'stream', but got '" +
         nb::cast<std::string>(nb::handle(name)) + "'");
}

void Operation::collect(PyObject *const *arguments, Py_ssize_t count, PyObject *keywords,
                        Given &given) const {
  if (size_t(count) > numPositional + 1)
    refuse("expected at most " + std::to_string(numPositional) + " tensors and a stream, but got " +
           std::to_string(count) + " arguments");
  Py_ssize_t next = 0;
  for (size_t i = 0; i < tensors.size() && next < count; ++i)
    if (!tensors[i].isKeyword)
      given.tensors[i] = arguments[next++];
  if (next < count)
    given.stream = arguments[next];
  for (Py_ssize_t i = 0, n = keywords ? NB_TUPLE_GET_SIZE(keywords) : 0; i < n; ++i) {
    PyObject *name = NB_TUPLE_GET_ITEM(keywords, i);
    nb::handle &target = findKeyword(name, given);
    if (target.is_valid())
      refuse("expected '" + nb::cast<std::string>(nb::handle(name)) + "' once, but got it twice");
    target = arguments[count + i];
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    nb::handle &tensor = given.tensors[i];
    if (tensors[i].isNullable && tensor.is_valid() && tensor.is_none())
      tensor = nb::handle();
    if (!tensor.is_valid() && !tensors[i].isNullable)
      refuse("expected '" + tensors[i].name + "', but got none");
  }
}

static std::string describeDevice(kvq_device_kind kind, int32_t ordinal) {
  if (kind == KVQ_DEVICE_HOST)
    return "cpu";
  return (kind == KVQ_DEVICE_CUDA ? "cuda:" : "rocm:") + std::to_string(ordinal);
}

void Operation::checkDevice(const TensorArgument &argument, const TensorView &view) const {
  dlpack::DeviceType type = view.device.type;
  bool isThere = type == dlpack::CUDAManaged && deviceKind != KVQ_DEVICE_HIP;
  if (deviceKind == KVQ_DEVICE_CUDA)
    isThere |= type == dlpack::CUDA && view.device.id == ordinal;
  else if (deviceKind == KVQ_DEVICE_HIP)
    isThere |= type == dlpack::ROCM && view.device.id == ordinal;
  else
    isThere |= type == dlpack::CPU || type == dlpack::CUDAHost || type == dlpack::ROCMHost;
  if (!isThere)
    refuse("expected '" + argument.name + "' to be on '" + describeDevice(deviceKind, ordinal) +
           "', for which the artefact was opened, but got '" + describe(view.device) + "'");
}

int64_t Operation::countTokens(const Given &given, const Views &views) const {
  int64_t tokens = slots < tensors.size() ? views[slots]->shape[0] : -1;
  if (given.numTokens.is_valid() && !given.numTokens.is_none()) {
    tokens = PyLong_AsLongLong(given.numTokens.ptr());
    if (tokens < 0) {
      PyErr_Clear();
      refuse("expected 'num_tokens' to be a number of tokens, but got '" +
             nb::cast<std::string>(nb::str(given.numTokens)) + "'");
    }
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].role != Role::Rows)
      continue;
    int64_t rows = views[i]->shape[0];
    if (tokens < 0)
      tokens = rows;
    if (rows < tokens)
      refuse("expected '" + tensors[i].name + "' to have a row for each of " +
             std::to_string(tokens) + " tokens, but got " + std::to_string(rows));
  }
  return tokens;
}

int64_t Operation::countBlocks(const Views &views) const {
  int64_t blocks = -1;
  const std::string *first = nullptr;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].isCache())
      continue;
    int64_t count = views[i]->shape[0];
    if (first && count != blocks)
      refuse("expected '" + tensors[i].name + "' to have as many blocks as '" + *first + "', " +
             std::to_string(blocks) + ", but got " + std::to_string(count));
    first = &tensors[i].name;
    blocks = count;
  }
  return blocks;
}

/// The shapes of tensors that belong together, as far as neither has them fixed.
void Operation::checkTogether(const Views &views) const {
  auto last = [](const TensorView &view) { return view.shape[view.ndim - 1]; };
  if (latent < tensors.size() && last(*views[latent]) + last(*views[rotary]) != headSize)
    refuse("expected 'kv_c' and 'k_pe' to have " + std::to_string(headSize) +
           " elements a token together, but got " + std::to_string(last(*views[latent])) + " and " +
           std::to_string(last(*views[rotary])));
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].isCopyOf < tensors.size() &&
        views[i]->shape[1] != views[tensors[i].isCopyOf]->shape[1])
      refuse("expected '" + tensors[i].name + "' to have the shape of '" +
             tensors[tensors[i].isCopyOf].name + "'");
    bool isPerSequence = tensors[i].role == Role::BlockTable || tensors[i].role == Role::SeqStarts;
    if (!isPerSequence || !views[i])
      continue;
    int64_t batch = views[lens]->shape[0] - 1;
    if (views[i]->shape[0] < batch)
      refuse("expected '" + tensors[i].name + "' to have a row for each of " +
             std::to_string(batch) + " sequences, but got " + std::to_string(views[i]->shape[0]));
  }
}

/// A stride, where it means anything; else that of a compact tensor, which is a
/// multiple of whatever the kernel needs.
static int64_t getStride(const TensorView &view, int dimension) {
  if (view.shape[dimension] > 1)
    return view.strides[dimension];
  int64_t compact = 1;
  for (int i = view.ndim; --i > dimension;)
    compact *= view.shape[i];
  return compact;
}

int64_t Operation::evaluate(const Scalar &scalar, const Views &views, int64_t tokens,
                            int64_t blocks) const {
  switch (scalar.source) {
  case Scalar::Source::Tokens:
    return tokens;
  case Scalar::Source::Blocks:
    return blocks;
  case Scalar::Source::Sequences:
    return views[scalar.tensor]->shape[0] - 1;
  case Scalar::Source::Size:
    return views[scalar.tensor]->shape[scalar.dimension];
  case Scalar::Source::Stride:
    return getStride(*views[scalar.tensor], scalar.dimension);
  }
  return 0;
}

/// The stream that was given, or else the current one of the first tensor's framework.
class Operation::LaunchStream : public TensorView::Stream {
public:
  LaunchStream(const Operation &operation, const Given &given, const Views &views)
      : operation(operation), given(given), views(views) {}

  void *get() {
    if (!found)
      found = find();
    return *found;
  }

  int64_t getNumber() override {
    // -1 has nothing wait, and CUDA's default stream has a number of its own.
    if (operation.deviceKind == KVQ_DEVICE_HOST)
      return -1;
    auto number = reinterpret_cast<int64_t>(get());
    return operation.deviceKind == KVQ_DEVICE_CUDA && !number ? 1 : number;
  }

private:
  void *find() const {
    if (operation.deviceKind == KVQ_DEVICE_HOST)
      return nullptr;
    nb::handle stream = given.stream.is_valid() ? given.stream : nb::handle(Py_None);
    if (PyLong_Check(stream.ptr()))
      return getPointer(stream);
    const TensorView *first = views[0];
    if (stream.is_none() && first && first->exchange) {
      void *current = nullptr;
      if (first->exchange->currentStream(first->device.type, operation.ordinal, &current))
        throw nb::python_error();
      return current;
    }
    return getPointer(nb::module_::import_("kvq._streams")
                          .attr("address")(stream, given.tensors[0], operation.ordinal));
  }

  static void *getPointer(nb::handle number) {
    void *pointer = PyLong_AsVoidPtr(number.ptr());
    if (PyErr_Occurred())
      throw nb::python_error();
    return pointer;
  }

  const Operation &operation;
  const Given &given;
  const Views &views;
  std::optional<void *> found;
};

void Operation::call(PyObject *const *arguments, Py_ssize_t numPositional,
                     PyObject *keywords) const {
  Given given;
  collect(arguments, numPositional, keywords, given);
  Views views;
  LaunchStream stream(*this, given, views);
  kvq_value values[KVQ_MAX_ARGUMENTS];
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorArgument &argument = tensors[i];
    values[argument.index].ptr = nullptr;
    if (!given.tensors[i].is_valid())
      continue;
    views.take(i, given.tensors[i], argument.name.c_str(), stream);
    const TensorView &view = *views[i];
    checkDevice(argument, view);
    if (std::string fault = argument.findFault(view); !fault.empty())
      refuse(fault);
    values[argument.index].ptr = view.data;
  }
  int64_t tokens = countTokens(given, views), blocks = countBlocks(views);
  checkTogether(views);
  for (const Scalar &scalar : scalars)
    values[scalar.index].i64 = evaluate(scalar, views, tokens, blocks);
  void *address = stream.get();
  kvq_error error;
  kvq_status status;
  {
    nb::gil_scoped_release release;
    status = kvq_kernel_launch(kernel.get(), values, numArguments, address, &error);
  }
  if (status != KVQ_OK)
    raiseError(error.message);
}
