//===- Runtime.h - Launches the kernels of an artefact ----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// kvq_runtime.h for C++17, header-only: what it opens is closed by destructors,
// and what fails throws kvq::Error. Texts are views into the artefact.
//
//   auto artefact = kvq::runtime::Artefact::open("kernels");
//   kvq::runtime::Call store(artefact.kernel("model.layers.0.self_attn", "store"));
//   store.set("key", key).set("num_tokens", 7);  // and so on
//   store.launch(stream);
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_RUNTIME_RUNTIME_H
#define KVQ_RUNTIME_RUNTIME_H

#include "kvq/Runtime/kvq_runtime.h"
#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace kvq {

/// What a function of the runtime failed with.
class Error : public std::runtime_error {
public:
  explicit Error(const kvq_error &error)
      : std::runtime_error(error.message), code(error.status), driver(error.driver_code) {}

  /// KVQ_ERROR_…
  kvq_status status() const { return code; }
  /// The CUresult or hipError_t of KVQ_ERROR_DRIVER, else 0.
  int driverCode() const { return driver; }

private:
  kvq_status code;
  int driver;
};

namespace runtime {

/// Calls a function of the C interface with `arguments` and an error; throws it.
template <typename Function, typename... Arguments>
void call(Function function, Arguments... arguments) {
  // The message is written where there is one: no need to clear it.
  kvq_error error;
  if (function(arguments..., &error) != KVQ_OK)
    throw Error(error);
}

/// A struct of the C interface that knows its size.
template <typename Struct> Struct sized() {
  Struct made{};
  made.size = sizeof(Struct);
  return made;
}

/// Options of Artefact::open.
struct OpenOptions {
  /// KVQ_DEVICE_…
  kvq_device_kind device = KVQ_DEVICE_AUTO;
  /// The driver's number of the device.
  int ordinal = KVQ_CURRENT_DEVICE;
  /// Takes this target of the directory or none; empty: the best.
  std::string target;
  /// Lets the driver compile PTX where no cubin fits.
  bool allowPtx = false;
};

/// What the caller's tensors are; empty and 0 are any.
struct Geometry {
  std::string layout, sourceType, cacheType;
  int64_t numKVHeads = 0, headSize = 0, blockSize = 0;
};

/// The kernels of one operation of one layer. Keeps its artefact open; copies
/// are cheap.
class Kernel {
public:
  /// Layer, op, symbol, geometry and counts.
  kvq_kernel_info info() const {
    auto result = sized<kvq_kernel_info>();
    call(kvq_kernel_describe, kernel, &result);
    return result;
  }

  /// The argument at `index`.
  kvq_argument_info argument(size_t index) const {
    auto result = sized<kvq_argument_info>();
    call(kvq_kernel_argument, kernel, index, &result);
    return result;
  }

  /// The arguments, in order.
  std::vector<kvq_argument_info> arguments() const {
    std::vector<kvq_argument_info> result;
    for (size_t i = 0, count = info().num_arguments; i < count; ++i)
      result.push_back(argument(i));
    return result;
  }

  /// The scales that it uses, in order.
  std::vector<kvq_scale_info> scales() const {
    std::vector<kvq_scale_info> result(info().num_scales, sized<kvq_scale_info>());
    for (size_t i = 0; i < result.size(); ++i)
      call(kvq_kernel_scale, kernel, i, &result[i]);
    return result;
  }

  /// The index of the argument `name`; throws where there is none.
  size_t index(const std::string &name) const {
    size_t result = 0;
    call(kvq_kernel_argument_index, kernel, name.c_str(), &result);
    return result;
  }

  /// Whether there is an argument `name`.
  bool has(const std::string &name) const {
    size_t result;
    return kvq_kernel_argument_index(kernel, name.c_str(), &result, nullptr) == KVQ_OK;
  }

  /// Launches on `stream`, as kvq_kernel_launch.
  void launch(const kvq_value *values, size_t count, void *stream = nullptr) const {
    call(kvq_kernel_launch, kernel, values, count, stream);
  }

  /// What a launch would give the driver.
  kvq_plan plan(const kvq_value *values, size_t count) const {
    auto result = sized<kvq_plan>();
    call(kvq_kernel_plan, kernel, values, count, &result);
    return result;
  }

  /// For the C interface; valid as long as this or a copy is.
  const kvq_kernel *get() const { return kernel; }

private:
  friend class Artefact;
  Kernel(std::shared_ptr<kvq_artefact> artefact, const kvq_kernel *kernel)
      : artefact(std::move(artefact)), kernel(kernel) {}

  std::shared_ptr<kvq_artefact> artefact;
  const kvq_kernel *kernel;
};

/// A kernel with values for its arguments, set by name or, on a fast path, by
/// index, and launched any number of times. Arguments start as null and 0. Used
/// by one thread at a time.
class Call {
public:
  explicit Call(Kernel kernel)
      : kernel(std::move(kernel)), count(this->kernel.info().num_arguments) {
    values.fill(kvq_value{nullptr});
  }

  const Kernel &getKernel() const { return kernel; }

  /// Sets a pointer or a number, by the argument's name.
  template <typename Value> Call &set(const std::string &name, Value value) {
    return set(indexOf(name, isPointer<Value>), value);
  }

  /// The same by its index, below the number of arguments, which is not checked.
  template <typename Value> Call &set(size_t index, Value value) {
    if constexpr (isPointer<Value>)
      values[index].ptr = value;
    else
      values[index].i64 = value;
    return *this;
  }

  /// Launches with the values as they are.
  void launch(void *stream = nullptr) const { kernel.launch(values.data(), count, stream); }

  /// What a launch would give the driver.
  kvq_plan plan() const { return kernel.plan(values.data(), count); }

private:
  template <typename Value>
  static constexpr bool isPointer = std::is_pointer_v<Value> || std::is_null_pointer_v<Value>;

  /// The index of an argument that takes a pointer, or a number.
  size_t indexOf(const std::string &name, bool pointer) const {
    size_t index = kernel.index(name);
    if ((kernel.argument(index).type == KVQ_TYPE_PTR) == pointer)
      return index;
    kvq_error error{KVQ_ERROR_ARGUMENT, 0, {}};
    std::string text = "expected a " + std::string(pointer ? "number" : "pointer") + " for '" +
                       name + "', but got a " + (pointer ? "pointer" : "number");
    text.copy(error.message, sizeof(error.message) - 1);
    throw Error(error);
  }

  Kernel kernel;
  size_t count;
  std::array<kvq_value, KVQ_MAX_ARGUMENTS> values;
};

/// An opened directory. Copies share it; it is closed with the last of them and
/// of the kernels that came from it.
class Artefact {
public:
  /// Opens `directory` and loads its code for a device, as kvq_open.
  static Artefact open(const std::string &directory, const OpenOptions &options = {}) {
    auto given = sized<kvq_open_options>();
    given.device_kind = options.device;
    given.ordinal = options.ordinal;
    given.flags = options.allowPtx ? KVQ_OPEN_ALLOW_PTX : 0;
    given.target = options.target.empty() ? nullptr : options.target.c_str();
    kvq_artefact *artefact = nullptr;
    call(kvq_open, directory.c_str(), &given, &artefact);
    return Artefact(artefact);
  }

  /// What was chosen.
  kvq_artefact_info info() const {
    auto result = sized<kvq_artefact_info>();
    call(kvq_artefact_describe, artefact.get(), &result);
    return result;
  }

  size_t numLayers() const { return info().num_layers; }

  /// The layer at `position`, in the manifest's order.
  kvq_layer_info layer(size_t position) const {
    auto result = sized<kvq_layer_info>();
    call(kvq_layer_describe, artefact.get(), position, &result);
    return result;
  }

  /// The layer called `name`; throws where there is none.
  kvq_layer_info layer(const std::string &name) const {
    size_t position = 0;
    call(kvq_layer_find, artefact.get(), name.c_str(), &position);
    return layer(position);
  }

  /// The kernels of an operation of a layer, which fit `geometry`.
  Kernel kernel(const std::string &layer, const std::string &op,
                const Geometry &geometry = {}) const {
    auto given = sized<kvq_geometry>();
    auto textOrNull = [](const std::string &text) { return text.empty() ? nullptr : text.c_str(); };
    given.layout = textOrNull(geometry.layout);
    given.source_type = textOrNull(geometry.sourceType);
    given.cache_type = textOrNull(geometry.cacheType);
    given.num_kv_heads = geometry.numKVHeads;
    given.head_size = geometry.headSize;
    given.block_size = geometry.blockSize;
    const kvq_kernel *found = nullptr;
    call(kvq_kernel_find, artefact.get(), layer.c_str(), op.c_str(), &given, &found);
    return Kernel(artefact, found);
  }

  /// For the C interface; valid as long as this or a copy is.
  const kvq_artefact *get() const { return artefact.get(); }

private:
  explicit Artefact(kvq_artefact *opened) : artefact(opened, kvq_close) {}

  std::shared_ptr<kvq_artefact> artefact;
};

} // namespace runtime
} // namespace kvq

#endif // KVQ_RUNTIME_RUNTIME_H
