//===- Diff.cpp - What kvqc diff does -------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Diff.h"
#include "KernelFields.h"
#include "kvq/Artefact/ArtefactDirectory.h"
#include "kvq/Support/Json.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace kvq;

namespace {

class ManifestDiff {
public:
  ManifestDiff(const Manifest &before, const Manifest &after) : before(before), after(after) {}

  std::vector<std::string> compare();

private:
  void line(const std::string &text) { lines.push_back(text); }

  /// Compares two lists whose entries have names: what only one has, and by
  /// `both` what both have.
  template <typename Entry, typename NameOf, typename Both>
  void compareLists(const std::vector<Entry> &olds, const std::vector<Entry> &news,
                    const std::string &what, const NameOf &nameOf, const Both &both);
  void compareFields(const std::string &what, const Fields &olds, const Fields &news);
  void compareTexts(const std::string &what, const std::vector<std::string> &olds,
                    const std::vector<std::string> &news);
  void compareLayers(const ManifestLayer &old, const ManifestLayer &now);

  const Manifest &before, &after;
  std::vector<std::string> lines;
};

} // namespace

template <typename Entry, typename NameOf, typename Both>
void ManifestDiff::compareLists(const std::vector<Entry> &olds, const std::vector<Entry> &news,
                                const std::string &what, const NameOf &nameOf, const Both &both) {
  llvm::StringMap<const Entry *> places;
  for (const Entry &entry : news)
    places.try_emplace(nameOf(entry), &entry);
  for (const Entry &entry : olds) {
    auto found = places.find(nameOf(entry));
    if (found == places.end()) {
      line(what + escapeText(nameOf(entry)) + ": only in the first");
      continue;
    }
    both(entry, *found->second);
    places.erase(found);
  }
  for (const Entry &entry : news)
    if (places.count(nameOf(entry)))
      line(what + escapeText(nameOf(entry)) + ": only in the second");
}

void ManifestDiff::compareFields(const std::string &what, const Fields &olds, const Fields &news) {
  auto nameOf = [](const auto &field) { return field.first; };
  compareLists(olds, news, what + ": ", nameOf, [&](const auto &old, const auto &now) {
    if (old.second != now.second)
      line(what + ": " + escapeText(old.first) + " " + escapeText(old.second) + " -> " +
           escapeText(now.second));
  });
}

void ManifestDiff::compareTexts(const std::string &what, const std::vector<std::string> &olds,
                                const std::vector<std::string> &news) {
  for (const std::string &text : olds)
    if (!llvm::is_contained(news, text))
      line(what + " only in the first: " + escapeText(text));
  for (const std::string &text : news)
    if (!llvm::is_contained(olds, text))
      line(what + " only in the second: " + escapeText(text));
}

void ManifestDiff::compareLayers(const ManifestLayer &old, const ManifestLayer &now) {
  std::string what = "layer " + escapeText(old.name) + ": ";
  if (old.index != now.index)
    line(what + "index " + std::to_string(old.index) + " -> " + std::to_string(now.index));
  for (const ManifestLayerTarget &entry : old.targets) {
    auto other = llvm::find_if(now.targets,
                               [&](const auto &target) { return target.target == entry.target; });
    // Of a target that only one has, that is said once, not by every layer.
    if (other == now.targets.end())
      continue;
    compareFields(what + entry.target, fieldsOf(entry), fieldsOf(*other));
    compareTexts(what + entry.target + ": warning", entry.warnings, other->warnings);
    compareTexts(what + entry.target + ": note", entry.notes, other->notes);
  }
}

/// What is said of the artefact as a whole.
static Fields fieldsOf(const Manifest &manifest) {
  return {{"producer", manifest.producer},
          {"checkpoint format", manifest.format},
          {"checkpoint model_type", manifest.modelType},
          {"checkpoint sha256", manifest.sha256},
          {"tensor_parallel_size", std::to_string(manifest.tensorParallelSize)}};
}

std::vector<std::string> ManifestDiff::compare() {
  compareFields("artefact", ::fieldsOf(before), ::fieldsOf(after));
  compareLists(
      before.targets, after.targets, "target ", [](const auto &target) { return target.target; },
      [&](const auto &old, const auto &now) {
        compareFields("target " + old.target, fieldsOf(old), fieldsOf(now));
      });
  compareLists(
      before.layers, after.layers, "layer ", [](const auto &layer) { return layer.name; },
      [&](const auto &old, const auto &now) { compareLayers(old, now); });
  compareLists(
      before.kernels, after.kernels, "kernel ",
      [](const auto &kernel) { return kernel.target + ": " + kernel.symbol; },
      [&](const auto &old, const auto &now) {
        compareFields("kernel " + old.target + ": " + old.symbol, fieldsOf(old), fieldsOf(now));
      });
  compareLists(
      before.hashes, after.hashes, "file ", [](const auto &hash) { return hash.file; },
      [&](const auto &old, const auto &now) {
        if (old.sha256 != now.sha256)
          line("file " + old.file + ": other bytes");
      });
  compareTexts("warning", before.warnings, after.warnings);
  compareTexts("note", before.notes, after.notes);
  return std::move(lines);
}

/// Opens an artefact and holds its files to their hashes.
static llvm::Expected<ArtefactDirectory> openWhole(llvm::StringRef folder) {
  Result<ArtefactDirectory> artefact = ArtefactDirectory::open(folder.str());
  if (!artefact)
    return toError(artefact.failure());
  for (const ManifestHash &hash : artefact->manifest().hashes)
    if (Result<std::string> bytes = artefact->read(hash.file); !bytes)
      return toError(bytes.failure());
  return std::move(*artefact);
}

llvm::Expected<std::vector<std::string>> kvq::diffArtefacts(llvm::StringRef before,
                                                            llvm::StringRef after) {
  llvm::Expected<ArtefactDirectory> old = openWhole(before);
  if (!old)
    return old.takeError();
  llvm::Expected<ArtefactDirectory> now = openWhole(after);
  if (!now)
    return now.takeError();
  std::vector<std::string> lines = ManifestDiff(old->manifest(), now->manifest()).compare();
  if (lines.empty() && toJsonText(old->manifest()) != toJsonText(now->manifest()))
    lines.push_back("artefact: another order of targets, layers, kernels or texts");
  return lines;
}
