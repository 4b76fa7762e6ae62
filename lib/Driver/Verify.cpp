//===- Verify.cpp - What kvqc verify does ---------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Verify.h"
#include "HostCheck.h"
#include "KernelSymbols.h"
#include "kvq/Artefact/ArtefactDirectory.h"
#include "kvq/Artefact/Header.h"
#include "kvq/Artefact/SharedObject.h"
#include "kvq/Dialect/Kvq.h"
#include "kvq/Driver/Compile.h"
#include "kvq/Support/Json.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <set>

using namespace mlir;
using namespace kvq;

namespace {

class Verifier {
public:
  Verifier(const ArtefactDirectory &artefact, StringRef folder)
      : artefact(artefact), manifest(artefact.manifest()), folder(folder) {}

  llvm::Error verify(bool runs);

  std::string report;

private:
  llvm::Error checkFiles();
  llvm::Error checkHeader();
  llvm::Error checkTarget(const ManifestTarget &target);
  llvm::Error checkObject(const ManifestTarget &target, StringRef kind, const std::string &file);
  llvm::Error checkKernel(const ManifestKernel &kernel, const KernelSymbol &symbol,
                          const std::string &file);
  llvm::Error runTarget(const ManifestTarget &target);
  llvm::Error runKernel(const ManifestKernel &kernel, const SharedObject &object,
                        const std::string &file, MLIRContext &context);

  llvm::Error fail(StringRef file, const Twine &text) const {
    return llvm::createStringError(pathOf(file) + ": " + text);
  }
  std::string pathOf(StringRef file) const {
    return escapeText(folder.str() + (folder.ends_with("/") ? "" : "/") + file.str());
  }
  void say(const Twine &line) { report += line.str() + "\n"; }

  const ArtefactDirectory &artefact;
  const Manifest &manifest;
  StringRef folder;
  /// Of the files whose hashes are right.
  llvm::StringMap<std::string> contents;
  uint64_t numValues = 0, numRun = 0;
  /// Why kernels were not run, by operation.
  std::set<std::string> notRun;
};

} // namespace

llvm::Error Verifier::checkFiles() {
  uint64_t numBytes = 0;
  for (const ManifestHash &hash : manifest.hashes) {
    Result<std::string> bytes = artefact.read(hash.file);
    if (!bytes)
      return toError(bytes.failure());
    numBytes += bytes->size();
    contents[hash.file] = std::move(*bytes);
  }
  Result<std::vector<std::string>> unknown = artefact.listUnknown();
  if (!unknown)
    return toError(unknown.failure());
  if (!unknown->empty())
    return fail(unknown->front(), "expected only files that the manifest names");
  say(llvm::formatv("{0} files, {1} bytes: every SHA-256 is right", manifest.hashes.size(),
                    numBytes));
  return llvm::Error::success();
}

/// A header by this compiler is what the manifest says, to the byte.
llvm::Error Verifier::checkHeader() {
  auto header = contents.find(kHeaderFile);
  if (header == contents.end())
    return fail(kManifestFile, "expected a SHA-256 of '" + Twine(kHeaderFile) + "'");
  if (manifest.producer == getProducer() && header->second != toHeaderText(manifest))
    return fail(kHeaderFile, "expected the header of this manifest");
  return llvm::Error::success();
}

static int64_t sizeOf(const ManifestArgument &argument) { return argument.type == "i32" ? 4 : 8; }

llvm::Error Verifier::checkKernel(const ManifestKernel &kernel, const KernelSymbol &symbol,
                                  const std::string &file) {
  std::string name = "kernel " + quoteName(kernel.symbol) + ": ";
  if (symbol.argumentSizes) {
    if (symbol.argumentSizes->size() != kernel.args.size())
      return fail(file, name + "expected " + Twine(kernel.args.size()) + " arguments, but it has " +
                            Twine(symbol.argumentSizes->size()));
    for (auto [argument, size] : llvm::zip_equal(kernel.args, *symbol.argumentSizes))
      if (size != sizeOf(argument))
        return fail(file, name + "expected " + Twine(sizeOf(argument)) + " bytes for " +
                              quoteName(argument.name) + ", but it takes " + Twine(size));
  }
  int64_t threads = 1;
  for (const LaunchSize &size : kernel.block)
    threads *= size.kind == LaunchSize::Kind::Number ? size.number : 1;
  if (symbol.maxThreads && threads > *symbol.maxThreads)
    return fail(file, name + "expected blocks of at most " + Twine(*symbol.maxThreads) +
                          " threads, but the manifest has " + Twine(threads));
  return llvm::Error::success();
}

llvm::Error Verifier::checkObject(const ManifestTarget &target, StringRef kind,
                                  const std::string &file) {
  StringRef bytes = contents[file];
  llvm::Expected<KernelSymbols> symbols = kind == "ptx" ? readPTX(bytes) : readElf(bytes);
  if (!symbols)
    return fail(file, escapeText(llvm::toString(symbols.takeError())));
  bool isForeign = target.backend == "host" && symbols->chip != "host";
  if (!isForeign && symbols->chip != target.target)
    return fail(file,
                "expected code for " + quoteName(target.target) + ", but got " +
                    (symbols->chip.empty() ? "code that names no chip" : quoteName(symbols->chip)));
  if (isForeign)
    notRun.insert("the host's: they are for another sort of machine than this");
  for (const ManifestKernel &kernel : manifest.kernels) {
    if (kernel.target != target.target)
      continue;
    auto found = symbols->kernels.find(kernel.symbol);
    if (found == symbols->kernels.end())
      return fail(file, "expected the kernel " + quoteName(kernel.symbol) + ", but there is none");
    if (llvm::Error error = checkKernel(kernel, found->second, file))
      return error;
  }
  return llvm::Error::success();
}

/// The kinds of files that hold kernels.
static bool holdsKernels(StringRef kind) {
  return kind == "ptx" || kind == "cubin" || kind == "hsaco" || kind == "shared_object";
}

llvm::Error Verifier::checkTarget(const ManifestTarget &target) {
  std::string kinds;
  for (const auto &[kind, file] : target.files) {
    if (!holdsKernels(kind))
      continue;
    if (llvm::Error error = checkObject(target, kind, file))
      return error;
    kinds += (kinds.empty() ? "" : ", ") + kind;
  }
  size_t count = llvm::count_if(manifest.kernels,
                                [&](const auto &kernel) { return kernel.target == target.target; });
  if (kinds.empty() && count)
    return fail(kManifestFile, "expected a file with the kernels of " + quoteName(target.target));
  say(llvm::formatv("{0}: {1} kernels in {2}", target.target, count, kinds));
  return llvm::Error::success();
}

llvm::Error Verifier::runKernel(const ManifestKernel &kernel, const SharedObject &object,
                                const std::string &file, MLIRContext &context) {
  void *function = object.find(kernel.symbol);
  if (!function)
    return fail(file, "expected the kernel " + quoteName(kernel.symbol) + ", but there is none");
  llvm::Expected<HostCheck> check = checkHostKernel(kernel, function, context);
  if (!check)
    return fail(file, llvm::toString(check.takeError()));
  if (!check->notRun.empty()) {
    notRun.insert(escapeText(kernel.op) + ": " + check->notRun);
    return llvm::Error::success();
  }
  ++numRun;
  numValues += check->numValues;
  return llvm::Error::success();
}

llvm::Error Verifier::runTarget(const ManifestTarget &target) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<KvqDialect>();
  for (const auto &[kind, file] : target.files) {
    if (kind != "shared_object")
      continue;
    Result<SharedObject> object = SharedObject::load(contents[file], pathOf(file));
    if (!object)
      return toError(object.failure());
    for (const ManifestKernel &kernel : manifest.kernels)
      if (kernel.target == target.target)
        if (llvm::Error error = runKernel(kernel, *object, file, context))
          return error;
  }
  return llvm::Error::success();
}

llvm::Error Verifier::verify(bool runs) {
  if (llvm::Error error = checkFiles())
    return error;
  if (llvm::Error error = checkHeader())
    return error;
  for (const ManifestTarget &target : manifest.targets)
    if (llvm::Error error = checkTarget(target))
      return error;
  bool hasHost =
      llvm::any_of(manifest.targets, [](const auto &target) { return target.backend == "host"; });
  if (!hasHost || !runs) {
    say(hasHost ? "no kernel was run" : "no kernel was run: there is no host target");
    return llvm::Error::success();
  }
  if (notRun.empty())
    for (const ManifestTarget &target : manifest.targets)
      if (target.backend == "host")
        if (llvm::Error error = runTarget(target))
          return error;
  say(llvm::formatv("{0} host kernels run: {1} values, 0 differences from the reference", numRun,
                    numValues));
  for (const std::string &why : notRun)
    say("not run: " + why);
  return llvm::Error::success();
}

llvm::Expected<std::string> kvq::verifyArtefact(StringRef folder, bool runs) {
  Result<ArtefactDirectory> artefact = ArtefactDirectory::open(folder.str());
  if (!artefact)
    return toError(artefact.failure());
  Verifier verifier(*artefact, folder);
  if (llvm::Error error = verifier.verify(runs))
    return error;
  return std::move(verifier.report);
}
