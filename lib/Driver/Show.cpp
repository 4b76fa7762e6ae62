//===- Show.cpp - What kvqc show does -------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Show.h"
#include "KernelFields.h"
#include "Table.h"
#include "kvq/Artefact/ArtefactDirectory.h"
#include "kvq/Support/Float32Text.h"
#include "kvq/Support/Json.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"

using namespace kvq;

namespace {

/// Writes an artefact's tables. Texts of the manifest may hold anything.
class ShowWriter {
public:
  explicit ShowWriter(const ArtefactDirectory &artefact)
      : artefact(artefact), manifest(artefact.manifest()), os(showing.text) {}

  Showing show(bool asJson);

private:
  std::vector<std::string> describeFile(const ManifestHash &hash);
  void showHead();
  void showTargets();
  void showKernels();
  void showLayers();
  void showTexts(llvm::StringRef title, const std::vector<std::string> &texts);

  const ArtefactDirectory &artefact;
  const Manifest &manifest;
  Showing showing;
  llvm::raw_string_ostream os;
};

} // namespace

void ShowWriter::showHead() {
  os << escapeText(manifest.producer) << ", checkpoint " << escapeText(manifest.format);
  if (!manifest.modelType.empty())
    os << " (" << escapeText(manifest.modelType) << ")";
  os << ", SHA-256 of what was read " << manifest.sha256;
  if (manifest.tensorParallelSize != 1)
    os << ", one of " << manifest.tensorParallelSize << " ranks";
  os << "\n\n";
}

void ShowWriter::showTargets() {
  Table rows{{"target", "backend", "cache type", "kernels"}};
  for (const ManifestTarget &target : manifest.targets) {
    auto isOf = [&](const ManifestKernel &kernel) { return kernel.target == target.target; };
    rows.push_back(
        {target.target, target.backend,
         escapeText(target.cacheType.value_or("by layer")) + (target.fnuz ? " (fnuz)" : ""),
         std::to_string(llvm::count_if(manifest.kernels, isOf))});
  }
  appendRows(rows, os);
}

/// A file's name, kind, size and whether its bytes are those of the manifest.
std::vector<std::string> ShowWriter::describeFile(const ManifestHash &hash) {
  std::string kind = "-";
  for (const ManifestTarget &target : manifest.targets)
    for (const auto &[name, file] : target.files)
      if (file == hash.file)
        kind = escapeText(name);
  Result<std::string> bytes = artefact.read(hash.file);
  if (!bytes)
    showing.errors.push_back(bytes.error());
  return {hash.file, kind, bytes ? std::to_string(bytes->size()) : "-", hash.sha256,
          bytes ? "ok" : "wrong"};
}

void ShowWriter::showKernels() {
  Table rows{{"target", "op", "layout", "types", "heads", "size", "block", "bounds", "scales",
              "threads", "grid", "symbol"}};
  for (const ManifestKernel &kernel : manifest.kernels) {
    std::string scales;
    for (const auto &[name, scale] : kernel.scales)
      scales += (scales.empty() ? "" : ", ") + name + " " + describe(scale);
    // A host kernel does the whole grid in one call.
    bool isCall = kernel.grid[0].kind == LaunchSize::Kind::Number;
    rows.push_back(
        {kernel.target, escapeText(kernel.op), escapeText(kernel.layout),
         escapeText(kernel.sourceType + ", " + kernel.cacheType), std::to_string(kernel.numKVHeads),
         std::to_string(kernel.headSize), std::to_string(kernel.blockSize),
         kernel.bounds.empty() ? "-" : escapeText(kernel.bounds),
         scales.empty() ? "-" : escapeText(scales), isCall ? "-" : describe(kernel.block),
         isCall ? "-" : describe(kernel.grid), kernel.symbol});
  }
  os << '\n';
  appendRows(rows, os);
}

void ShowWriter::showLayers() {
  Table rows{{"index", "layer", "target", "q", "k", "v", "prob", "kernels"}};
  for (const ManifestLayer &layer : manifest.layers) {
    for (const ManifestLayerTarget &target : layer.targets) {
      std::string kernels;
      for (const auto &[op, symbol] : target.kernels)
        kernels += (kernels.empty() ? "" : ", ") + escapeText(op);
      for (const ManifestVariant &variant : target.variants)
        kernels += ", " + escapeText(variant.op) + " " + variant.name;
      std::vector<std::string> row{std::to_string(layer.index), escapeText(layer.name),
                                   target.target};
      for (auto [name, scale, heads] :
           llvm::zip_equal(kLayerScales, target.scales, target.headScales)) {
        bool isCalculated = target.calculateKVScales && llvm::StringRef("kv").contains(name);
        row.push_back(isCalculated    ? "calculated"
                      : heads.empty() ? formatFloat32(scale)
                                      : describe(heads));
      }
      row.push_back(kernels.empty() ? "-" : kernels);
      rows.push_back(std::move(row));
    }
  }
  os << '\n';
  appendRows(rows, os);
}

void ShowWriter::showTexts(llvm::StringRef title, const std::vector<std::string> &texts) {
  if (texts.empty())
    return;
  os << '\n' << title << ":\n";
  for (const std::string &text : texts)
    os << "  " << escapeText(text) << '\n';
}

Showing ShowWriter::show(bool asJson) {
  Table files{{"file", "kind", "bytes", "SHA-256", "state"}};
  for (const ManifestHash &hash : manifest.hashes)
    files.push_back(describeFile(hash));
  if (asJson) {
    os << toJsonText(manifest);
    return std::move(showing);
  }
  showHead();
  showTargets();
  os << '\n';
  appendRows(files, os);
  showKernels();
  showLayers();
  showTexts("warnings", manifest.warnings);
  showTexts("notes", manifest.notes);
  return std::move(showing);
}

llvm::Expected<Showing> kvq::showArtefact(llvm::StringRef folder, bool asJson) {
  Result<ArtefactDirectory> artefact = ArtefactDirectory::open(folder.str());
  if (!artefact)
    return toError(artefact.failure());
  return ShowWriter(*artefact).show(asJson);
}
