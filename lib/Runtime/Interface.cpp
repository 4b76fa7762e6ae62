//===- Interface.cpp - The functions of kvq_runtime.h ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpenedArtefact.h"
#include "Refusal.h"
#include "kvq/Json/Quote.h"
#include <algorithm>
#include <cstring>

using namespace kvq;
using namespace kvq::runtime;

static void require(const void *pointer, const char *name) {
  if (!pointer)
    throw Refusal(KVQ_ERROR_ARGUMENT, "expected " + quoteName(name) + ", but got null");
}

/// Gives the caller as much of `made` as its struct has room for.
template <typename Struct> static void give(Struct *caller, Struct made) {
  made.size = caller->size;
  memcpy(caller, &made, std::min(caller->size, sizeof(Struct)));
}

template <typename Struct> static void requireStruct(const Struct *caller, const char *name) {
  require(caller, name);
  if (caller->size < sizeof(size_t))
    throw Refusal(KVQ_ERROR_ARGUMENT, quoteName(name) + ": expected 'size' to be set");
}

/// The caller's struct, which may be shorter than this library's, or longer where
/// what is beyond is 0.
template <typename Struct>
static Struct take(const Struct *caller, const char *name, Struct taken) {
  if (!caller)
    return taken;
  requireStruct(caller, name);
  const char *bytes = reinterpret_cast<const char *>(caller);
  for (size_t i = sizeof(Struct); i < caller->size; ++i)
    if (bytes[i] != 0)
      throw Refusal(KVQ_ERROR_ARGUMENT,
                    quoteName(name) + ": expected what this version of the library knows");
  memcpy(&taken, caller, std::min(caller->size, sizeof(Struct)));
  return taken;
}

uint32_t kvq_runtime_abi_version(void) { return KVQ_RUNTIME_ABI_VERSION; }

const char *kvq_runtime_version(void) { return KVQ_VERSION; }

kvq_status kvq_open(const char *directory, const kvq_open_options *options, kvq_artefact **artefact,
                    kvq_error *error) {
  if (artefact)
    *artefact = nullptr;
  return guard(error, [&] {
    require(artefact, "artefact");
    require(directory, "directory");
    kvq_open_options usual{};
    usual.ordinal = KVQ_CURRENT_DEVICE;
    kvq_open_options given = take(options, "options", usual);
    if (given.device_kind < KVQ_DEVICE_AUTO || given.device_kind > KVQ_DEVICE_HIP)
      throw Refusal(KVQ_ERROR_ARGUMENT,
                    "expected a known device_kind, but got " + std::to_string(given.device_kind));
    if (given.ordinal < KVQ_CURRENT_DEVICE)
      throw Refusal(KVQ_ERROR_ARGUMENT,
                    "expected a device's number or KVQ_CURRENT_DEVICE, but got " +
                        std::to_string(given.ordinal));
    if (given.flags & ~uint32_t(KVQ_OPEN_ALLOW_PTX))
      throw Refusal(KVQ_ERROR_ARGUMENT,
                    "expected known flags, but got " + std::to_string(given.flags));
    *artefact = new kvq_artefact(directory, given);
  });
}

void kvq_close(kvq_artefact *artefact) { delete artefact; }

kvq_status kvq_artefact_describe(const kvq_artefact *artefact, kvq_artefact_info *info,
                                 kvq_error *error) {
  return guard(error, [&] {
    require(artefact, "artefact");
    requireStruct(info, "info");
    give(info, artefact->describe());
  });
}

kvq_status kvq_layer_describe(const kvq_artefact *artefact, size_t position, kvq_layer_info *info,
                              kvq_error *error) {
  return guard(error, [&] {
    require(artefact, "artefact");
    requireStruct(info, "info");
    give(info, artefact->describeLayer(position));
  });
}

kvq_status kvq_layer_find(const kvq_artefact *artefact, const char *name, size_t *position,
                          kvq_error *error) {
  return guard(error, [&] {
    require(artefact, "artefact");
    require(name, "name");
    require(position, "position");
    *position = artefact->findLayer(name);
  });
}

kvq_status kvq_kernel_find(const kvq_artefact *artefact, const char *layer, const char *op,
                           const kvq_geometry *geometry, const kvq_kernel **kernel,
                           kvq_error *error) {
  if (kernel)
    *kernel = nullptr;
  return guard(error, [&] {
    require(artefact, "artefact");
    require(layer, "layer");
    require(op, "op");
    require(kernel, "kernel");
    *kernel = &artefact->findKernel(layer, op, take(geometry, "geometry", kvq_geometry{}));
  });
}

kvq_status kvq_kernel_describe(const kvq_kernel *kernel, kvq_kernel_info *info, kvq_error *error) {
  return guard(error, [&] {
    require(kernel, "kernel");
    requireStruct(info, "info");
    const ManifestKernel &entry = *kernel->first().entry;
    kvq_kernel_info made{};
    made.layer = kernel->layer.c_str();
    made.op = kernel->op.c_str();
    made.symbol = entry.symbol.c_str();
    made.layout = entry.layout.c_str();
    made.source_type = entry.sourceType.c_str();
    made.cache_type = entry.cacheType.c_str();
    made.num_kv_heads = entry.numKVHeads;
    made.head_size = entry.headSize;
    made.block_size = entry.blockSize;
    made.num_arguments = kernel->numArguments();
    made.num_scales = entry.scales.size();
    made.num_variants = kernel->variants.size();
    give(info, made);
  });
}

/// Throws where `index` is not below `count`.
static void requireBelow(size_t index, size_t count, const char *what) {
  if (index >= count)
    throw Refusal(KVQ_ERROR_NOT_FOUND, std::string("expected ") + what + " below " +
                                           std::to_string(count) + ", but got " +
                                           std::to_string(index));
}

kvq_status kvq_kernel_argument(const kvq_kernel *kernel, size_t index, kvq_argument_info *info,
                               kvq_error *error) {
  return guard(error, [&] {
    require(kernel, "kernel");
    requireStruct(info, "info");
    requireBelow(index, kernel->numArguments(), "an argument");
    give(info, kernel->describeArgument(index));
  });
}

kvq_status kvq_kernel_argument_index(const kvq_kernel *kernel, const char *name, size_t *index,
                                     kvq_error *error) {
  return guard(error, [&] {
    require(kernel, "kernel");
    require(name, "name");
    require(index, "index");
    const std::vector<ManifestArgument> &args = kernel->variants.back().entry->args;
    std::string known;
    for (size_t i = 0; i < args.size(); ++i) {
      if (args[i].name == name) {
        *index = i;
        return;
      }
      known += (i ? ", " : "") + quoteName(args[i].name);
    }
    throw Refusal(KVQ_ERROR_NOT_FOUND, "layer " + quoteName(kernel->layer) + ", op " +
                                           quoteName(kernel->op) + ": expected an argument among " +
                                           known + ", but got " + quoteName(name));
  });
}

kvq_status kvq_kernel_scale(const kvq_kernel *kernel, size_t index, kvq_scale_info *info,
                            kvq_error *error) {
  return guard(error, [&] {
    require(kernel, "kernel");
    requireStruct(info, "info");
    requireBelow(index, kernel->first().entry->scales.size(), "a scale");
    const auto &[name, scale] = kernel->first().entry->scales[index];
    kvq_scale_info made{};
    made.name = name.c_str();
    made.method = scale.method.c_str();
    made.values = scale.value                ? &*scale.value
                  : scale.headValues.empty() ? nullptr
                                             : scale.headValues.data();
    made.num_values = scale.value ? 1 : scale.headValues.size();
    give(info, made);
  });
}

/// The launching functions check by hand: nothing may allocate where all is well.
static kvq_status refuseNull(const char *name, kvq_error *error) {
  return guard(error, [&] { require(nullptr, name); });
}

kvq_status kvq_kernel_launch(const kvq_kernel *kernel, const kvq_value *values, size_t num_values,
                             void *stream, kvq_error *error) {
  if (!kernel)
    return refuseNull("kernel", error);
  return kernel->launch(values, num_values, stream, error);
}

kvq_status kvq_kernel_plan(const kvq_kernel *kernel, const kvq_value *values, size_t num_values,
                           kvq_plan *plan, kvq_error *error) {
  if (!kernel || !plan)
    return refuseNull(kernel ? "plan" : "kernel", error);
  LaunchPlan launch{};
  const Variant *variant;
  kvq_status status = kernel->plan(values, num_values, launch, variant, error);
  if (status != KVQ_OK)
    return status;
  return guard(error, [&] {
    requireStruct(plan, "plan");
    kvq_plan made{};
    if (variant) {
      made.symbol = variant->entry->symbol.c_str();
      made.function = launch.function;
      std::copy(std::begin(launch.grid), std::end(launch.grid), made.grid);
      std::copy(std::begin(launch.block), std::end(launch.block), made.block);
      made.shared_bytes = launch.sharedBytes;
      made.num_arguments = uint32_t(variant->entry->args.size());
    }
    give(plan, made);
  });
}
