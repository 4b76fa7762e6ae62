//===- OpenedArtefact.h - A directory with its code loaded ------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_RUNTIME_OPENEDARTEFACT_H
#define KVQ_LIB_RUNTIME_OPENEDARTEFACT_H

#include "Kernel.h"
#include "kvq/Artefact/ArtefactDirectory.h"
#include <map>
#include <mutex>

/// Immutable but for the kernels that were asked for, which a mutex guards.
struct kvq_artefact {
  /// Opens and loads, as kvq_open says; throws Refusal.
  kvq_artefact(const std::string &path, const kvq_open_options &options);

  kvq_artefact_info describe() const;
  kvq_layer_info describeLayer(size_t position) const;
  size_t findLayer(const std::string &name) const;

  /// As kvq_kernel_find.
  const kvq_kernel &findKernel(const std::string &layer, const std::string &op,
                               const kvq_geometry &geometry) const;

private:
  /// A layer on the loaded target.
  struct Layer {
    const kvq::ManifestLayer *layer;
    const kvq::ManifestLayerTarget *onTarget;
    std::vector<const char *> ops;
  };

  void chooseAndLoad(const kvq_open_options &options);
  /// Loads the first of `choices` that the device takes; false where it takes
  /// none, with the reasons in `notes`.
  bool load(const std::vector<kvq::runtime::CodeChoice> &choices, std::vector<std::string> &notes);
  void findKernels();
  void listLayers();
  std::unique_ptr<kvq_kernel> makeKernel(const std::string &layer, const std::string &op,
                                         const kvq_geometry &geometry) const;
  const kvq::ManifestKernel &namedKernel(const Layer &layer, const std::string &op) const;

  kvq::ArtefactDirectory directory;
  std::unique_ptr<kvq::runtime::Device> device;
  kvq::runtime::CodeChoice choice;
  std::string chip;
  /// The loaded target's kernels, by symbol.
  std::map<std::string, kvq::runtime::Variant> loaded;
  std::vector<Layer> layers;
  std::map<std::string, size_t> positions;

  mutable std::mutex mutex;
  mutable std::map<std::string, std::unique_ptr<kvq_kernel>> kernels;
};

#endif // KVQ_LIB_RUNTIME_OPENEDARTEFACT_H
