//===- OpenedArtefact.cpp - A directory with its code loaded --------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpenedArtefact.h"
#include "CodeObject.h"
#include "Refusal.h"
#include "kvq/Json/Quote.h"
#include <algorithm>
#include <functional>
#include <tuple>

using namespace kvq;
using namespace kvq::runtime;

//===----------------------------------------------------------------------===//
// Opening
//===----------------------------------------------------------------------===//

static ArtefactDirectory openDirectory(const std::string &path) {
  Result<ArtefactDirectory> opened = ArtefactDirectory::open(path);
  if (!opened)
    throw Refusal(KVQ_ERROR_ARTEFACT, opened.error());
  return std::move(*opened);
}

static std::unique_ptr<Device> openDevice(kvq_device_kind kind, int ordinal) {
  switch (kind) {
  case KVQ_DEVICE_CUDA:
    return openCudaDevice(ordinal);
  case KVQ_DEVICE_HIP:
    return openHipDevice(ordinal);
  default:
    return openHostDevice(ordinal);
  }
}

kvq_artefact::kvq_artefact(const std::string &path, const kvq_open_options &options)
    : directory(openDirectory(path)) {
  chooseAndLoad(options);
  findKernels();
  listLayers();
}

/// The kinds to try: the one asked for, or those that the directory has code for.
static std::vector<kvq_device_kind> listKinds(const std::vector<ManifestTarget> &targets,
                                              kvq_device_kind asked) {
  if (asked != KVQ_DEVICE_AUTO)
    return {asked};
  std::vector<kvq_device_kind> kinds;
  for (kvq_device_kind kind : {KVQ_DEVICE_CUDA, KVQ_DEVICE_HIP, KVQ_DEVICE_HOST})
    if (std::any_of(targets.begin(), targets.end(), [&](const ManifestTarget &target) {
          return target.backend == backendOf(kind);
        }))
      kinds.push_back(kind);
  return kinds;
}

static std::string join(const std::vector<std::string> &texts, const char *separator) {
  std::string joined;
  for (const std::string &text : texts)
    joined += (joined.empty() ? "" : separator) + text;
  return joined;
}

void kvq_artefact::chooseAndLoad(const kvq_open_options &options) {
  const std::vector<ManifestTarget> &targets = directory.manifest().targets;
  const std::string wanted = options.target ? options.target : "";
  const bool allowPtx = options.flags & KVQ_OPEN_ALLOW_PTX;
  std::vector<std::string> notes;
  std::string expected = "a device of this machine";
  for (kvq_device_kind kind : listKinds(targets, options.device_kind)) {
    try {
      device = openDevice(kind, options.ordinal);
    } catch (const Refusal &refusal) {
      if (options.device_kind != KVQ_DEVICE_AUTO)
        throw;
      notes.push_back(std::string(nameOf(kind)) + ": " + refusal.what());
      continue;
    }
    const DeviceDescription &description = device->getDescription();
    if (load(chooseCode(targets, description, allowPtx, wanted), notes))
      return;
    if (!allowPtx && !chooseCode(targets, description, true, wanted).empty())
      notes.push_back("PTX would do where the driver may compile it");
    std::string text = quoteName(description.chip()) + " (" + nameOf(kind) +
                       (kind == KVQ_DEVICE_HOST ? std::string()
                                                : " device " + std::to_string(description.ordinal) +
                                                      ", " + quoteName(description.name)) +
                       ")";
    if (options.device_kind != KVQ_DEVICE_AUTO)
      expected = text;
    else
      notes.push_back("no code for " + text);
    device.reset();
  }
  throw Refusal(KVQ_ERROR_NO_CODE, escapeText(directory.path()) + ": expected code" +
                                       (wanted.empty() ? "" : " of target " + quoteName(wanted)) +
                                       " for " + expected + ", but got " + listTargets(targets) +
                                       (notes.empty() ? "" : "; " + join(notes, "; ")));
}

bool kvq_artefact::load(const std::vector<CodeChoice> &choices, std::vector<std::string> &notes) {
  for (const CodeChoice &candidate : choices) {
    Result<std::string> bytes = directory.read(candidate.file);
    if (!bytes)
      throw Refusal(KVQ_ERROR_ARTEFACT, bytes.error());
    checkCodeObject(candidate, *bytes);
    if (device->load(candidate, *bytes)) {
      choice = candidate;
      return true;
    }
    notes.push_back("the driver does not take " + quoteName(candidate.file));
  }
  return false;
}

void kvq_artefact::findKernels() {
  chip = device->getDescription().chip();
  for (const ManifestKernel &kernel : directory.manifest().kernels)
    if (kernel.target == choice.target->target)
      loaded.emplace(kernel.symbol, Variant(kernel, device->find(kernel.symbol)));
}

void kvq_artefact::listLayers() {
  for (const ManifestLayer &layer : directory.manifest().layers)
    for (const ManifestLayerTarget &onTarget : layer.targets) {
      if (onTarget.target != choice.target->target)
        continue;
      Layer entry{&layer, &onTarget, {}};
      for (const auto &kernel : onTarget.kernels)
        entry.ops.push_back(kernel.first.c_str());
      positions.emplace(layer.name, layers.size());
      layers.push_back(std::move(entry));
    }
}

//===----------------------------------------------------------------------===//
// Descriptions
//===----------------------------------------------------------------------===//

kvq_artefact_info kvq_artefact::describe() const {
  const DeviceDescription &description = device->getDescription();
  kvq_artefact_info info{};
  info.directory = directory.path().c_str();
  info.target = choice.target->target.c_str();
  info.backend = choice.target->backend.c_str();
  info.file = choice.file.c_str();
  info.file_kind = choice.fileKind.c_str();
  info.cache_type = choice.target->cacheType ? choice.target->cacheType->c_str() : nullptr;
  info.fnuz = choice.target->fnuz;
  info.device_kind = description.kind;
  info.ordinal = description.ordinal;
  info.device_chip = chip.c_str();
  info.device_name = description.name.c_str();
  info.num_layers = layers.size();
  info.tensor_parallel_size = directory.manifest().tensorParallelSize;
  return info;
}

kvq_layer_info kvq_artefact::describeLayer(size_t position) const {
  if (position >= layers.size())
    throw Refusal(KVQ_ERROR_NOT_FOUND, "expected a layer below " + std::to_string(layers.size()) +
                                           ", but got " + std::to_string(position));
  const Layer &layer = layers[position];
  kvq_layer_info info{};
  info.name = layer.layer->name.c_str();
  info.index = layer.layer->index;
  std::copy(layer.onTarget->scales.begin(), layer.onTarget->scales.end(), info.scales);
  for (size_t i = 0; i < layer.onTarget->headScales.size(); ++i) {
    const std::vector<float> &heads = layer.onTarget->headScales[i];
    info.head_scales[i] = heads.empty() ? nullptr : heads.data();
    info.num_head_scales[i] = heads.size();
  }
  info.calculate_kv_scales = layer.onTarget->calculateKVScales;
  info.num_ops = layer.ops.size();
  info.ops = layer.ops.data();
  return info;
}

size_t kvq_artefact::findLayer(const std::string &name) const {
  auto found = positions.find(name);
  if (found != positions.end())
    return found->second;
  std::string known = layers.empty() ? "none" : "'" + layers.front().layer->name + "'";
  if (layers.size() > 1)
    known += " to " + quoteName(layers.back().layer->name);
  throw Refusal(KVQ_ERROR_NOT_FOUND, escapeText(directory.path()) + ": expected one of " +
                                         std::to_string(layers.size()) + " layers (" + known +
                                         "), but got " + quoteName(name));
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

static std::string describeKernel(const std::string &layer, const std::string &op) {
  return "layer " + quoteName(layer) + ", op " + quoteName(op) + ": ";
}

const ManifestKernel &kvq_artefact::namedKernel(const Layer &layer, const std::string &op) const {
  std::vector<std::string> known;
  for (const auto &[name, symbol] : layer.onTarget->kernels) {
    auto found = loaded.find(symbol);
    if (name == op && found != loaded.end())
      return *found->second.entry;
    known.push_back(quoteName(name));
  }
  throw Refusal(KVQ_ERROR_NOT_FOUND, describeKernel(layer.layer->name, op) +
                                         "expected an operation among " + join(known, ", ") +
                                         ", but got " + quoteName(op));
}

static bool sameScales(const ManifestKernel &a, const ManifestKernel &b) {
  return std::equal(a.scales.begin(), a.scales.end(), b.scales.begin(), b.scales.end(),
                    [](const auto &x, const auto &y) {
                      return x.first == y.first && x.second.value == y.second.value &&
                             x.second.headValues == y.second.headValues;
                    });
}

static bool sameArgument(const ManifestArgument &a, const ManifestArgument &b) {
  // Of slot_mapping also the size of an element, which its alignment is.
  return a.name == b.name && a.type == b.type && (a.name != "slot_mapping" || a.align == b.align);
}

/// Whether the arguments of `b` begin with those of `a`.
static bool beginsAlike(const ManifestKernel &a, const ManifestKernel &b) {
  return a.args.size() <= b.args.size() &&
         std::equal(a.args.begin(), a.args.end(), b.args.begin(), sameArgument);
}

/// Whether two kernels differ in nothing but their scales, their layout and block
/// size, and what they need of their arguments.
static bool sameWork(const ManifestKernel &a, const ManifestKernel &b) {
  return a.op == b.op && a.sourceType == b.sourceType && a.cacheType == b.cacheType &&
         a.numKVHeads == b.numKVHeads && a.headSize == b.headSize && a.kvLoraRank == b.kvLoraRank &&
         a.numHeads == b.numHeads && a.paddingSlot == b.paddingSlot && a.bounds == b.bounds;
}

/// Whether `other` can stand for `named`: it computes the same of tensors of its
/// own layout and block size.
static bool doesTheSame(const ManifestKernel &named, const ManifestKernel &other) {
  return sameWork(named, other) && sameScales(named, other) &&
         named.args.size() == other.args.size() && beginsAlike(named, other);
}

/// Whether `other` does with scales that are its last arguments what `named` does
/// with its own.
static bool takesTheScales(const ManifestKernel &named, const ManifestKernel &other) {
  if (!sameWork(named, other) || !beginsAlike(named, other) ||
      other.args.size() != named.args.size() + other.scales.size() || other.scales.empty())
    return false;
  return std::equal(named.scales.begin(), named.scales.end(), other.scales.begin(),
                    other.scales.end(),
                    [](const auto &x, const auto &y) {
                      return x.first == y.first && x.second.method != "argument" &&
                             y.second.method == "argument";
                    }) &&
         std::all_of(other.args.begin() + named.args.size(), other.args.end(),
                     [](const ManifestArgument &argument) { return argument.type == "ptr"; });
}

/// A number that grows with what a kernel needs of its arguments.
static int64_t demandOf(const ManifestKernel &kernel) {
  int64_t demand = 0;
  for (const ManifestArgument &argument : kernel.args)
    demand += argument.align.value_or(0) + argument.divisible.value_or(0);
  return demand;
}

/// Throws where a caller's `asked` is given and is not `made`.
static void requireSame(const std::string &prefix, const char *what, const std::string &made,
                        const std::string &asked) {
  if (made != asked)
    throw Refusal(KVQ_ERROR_UNFIT, prefix + "expected " + what + " " + made + ", but got " + asked);
}

std::unique_ptr<kvq_kernel> kvq_artefact::makeKernel(const std::string &layer,
                                                     const std::string &op,
                                                     const kvq_geometry &geometry) const {
  const Layer &entry = layers[findLayer(layer)];
  const ManifestKernel &named = namedKernel(entry, op);
  const std::vector<ManifestVariant> &listed = entry.onTarget->variants;
  const std::string prefix = describeKernel(layer, op);
  auto requireText = [&](const char *what, const std::string &made, const char *asked) {
    if (asked)
      requireSame(prefix, what, quoteName(made), quoteName(asked));
  };
  auto requireNumber = [&](const char *what, int64_t made, int64_t asked) {
    if (asked)
      requireSame(prefix, what, std::to_string(made), std::to_string(asked));
  };
  requireText("source_type", named.sourceType, geometry.source_type);
  requireText("cache_type", named.cacheType, geometry.cache_type);
  requireNumber("num_kv_heads", named.numKVHeads, geometry.num_kv_heads);
  requireNumber("head_size", named.headSize, geometry.head_size);

  // What the caller does not ask for is as the layer has it.
  const std::string layout = geometry.layout ? geometry.layout : named.layout;
  const int64_t blockSize = geometry.block_size ? geometry.block_size : named.blockSize;
  std::vector<Variant> variants;
  std::vector<std::string> made;
  for (const auto &[symbol, variant] : loaded) {
    const ManifestKernel &kernel = *variant.entry;
    // What takes the scales of any layer does so only for those that name it.
    bool isListed = std::any_of(listed.begin(), listed.end(), [&](const ManifestVariant &other) {
      return other.op == op && other.symbol == kernel.symbol;
    });
    if (!doesTheSame(named, kernel) && !(isListed && takesTheScales(named, kernel)))
      continue;
    std::string text =
        quoteName(kernel.layout) + " with block_size " + std::to_string(kernel.blockSize);
    if (std::find(made.begin(), made.end(), text) == made.end())
      made.push_back(text);
    if (kernel.layout == layout && kernel.blockSize == blockSize)
      variants.push_back(variant);
  }
  if (variants.empty())
    throw Refusal(KVQ_ERROR_UNFIT, prefix + "expected layout " + join(made, " or ") + ", but got " +
                                       quoteName(layout) + " with block_size " +
                                       std::to_string(blockSize));
  std::sort(variants.begin(), variants.end(), [](const Variant &a, const Variant &b) {
    const ManifestKernel &x = *a.entry, &y = *b.entry;
    return std::make_tuple(x.args.size(), -demandOf(x), std::cref(x.symbol)) <
           std::make_tuple(y.args.size(), -demandOf(y), std::cref(y.symbol));
  });
  return std::make_unique<kvq_kernel>(*device, layer, op, std::move(variants));
}

const kvq_kernel &kvq_artefact::findKernel(const std::string &layer, const std::string &op,
                                           const kvq_geometry &geometry) const {
  std::string question;
  auto append = [&](const char *text) {
    question += text ? text : "";
    question += '\0';
  };
  append(layer.c_str());
  append(op.c_str());
  for (const char *text : {geometry.layout, geometry.source_type, geometry.cache_type})
    append(text);
  for (int64_t number : {geometry.num_kv_heads, geometry.head_size, geometry.block_size})
    append(std::to_string(number).c_str());

  std::lock_guard<std::mutex> lock(mutex);
  auto found = kernels.find(question);
  if (found == kernels.end())
    found = kernels.emplace(question, makeKernel(layer, op, geometry)).first;
  return *found->second;
}
