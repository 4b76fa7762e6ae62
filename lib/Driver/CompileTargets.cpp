//===- CompileTargets.cpp - All targets of a compilation ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One pool of threads takes what there is to do: a target's generation, then its
// units, and what is last done of these links them. Nothing waits for anything
// else, and nothing of a result depends on the order.
//
// The cache has entries of two kinds. A whole target is known by the module before
// anything is done with it, so that what has not changed costs a file to read. A
// unit is known by its text, so that a layer which changes costs its own kernels.
//
//===----------------------------------------------------------------------===//

#include "CompileTargets.h"
#include "CacheEntry.h"
#include "CompileCache.h"
#include "kvq/Serialize/Serializer.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/Threading.h"
#include <map>
#include <mutex>

using namespace mlir;
using namespace kvq;

namespace {

/// Contexts for as many threads as work at once; each serves one at a time.
class ContextPool {
public:
  explicit ContextPool(const DialectRegistry &registry) : registry(registry) {}

  std::unique_ptr<MLIRContext> take() {
    std::lock_guard<std::mutex> lock(mutex);
    if (idle.empty())
      return std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
    std::unique_ptr<MLIRContext> context = std::move(idle.back());
    idle.pop_back();
    return context;
  }

  void giveBack(std::unique_ptr<MLIRContext> context) {
    std::lock_guard<std::mutex> lock(mutex);
    idle.push_back(std::move(context));
  }

private:
  const DialectRegistry &registry;
  std::mutex mutex;
  std::vector<std::unique_ptr<MLIRContext>> idle;
};

/// The place of a piece of work in the order of targets and units. The generation
/// of a target comes before its units, the linking behind.
using Rank = std::pair<size_t, size_t>;
constexpr size_t generating = 0, linking = std::numeric_limits<size_t>::max();

/// The errors of all work; the first in order is the one to speak of.
class FirstError {
public:
  /// Whether work of this rank would be in vain.
  bool isBefore(Rank rank) {
    std::lock_guard<std::mutex> lock(mutex);
    return !texts.empty() && texts.begin()->first < rank;
  }

  void add(Rank rank, llvm::Error error) {
    std::lock_guard<std::mutex> lock(mutex);
    texts.emplace(rank, llvm::toString(std::move(error)));
  }

  llvm::Error take() {
    return texts.empty() ? llvm::Error::success() : llvm::createStringError(texts.begin()->second);
  }

private:
  std::mutex mutex;
  std::map<Rank, std::string> texts;
};

/// A target at work.
struct TargetState {
  std::string key;
  bool inParts = false;
  GeneratedTarget generated;
  std::vector<CompiledUnit> compiled;
  /// Units that are not done.
  std::atomic<size_t> numLeft{0};
};

/// The assemblers, if any target needs one.
std::string describeFor(ArrayRef<Target> targets) {
  bool any = llvm::any_of(
      targets, [](const Target &target) { return target.chip->backend == Backend::NVVM; });
  return any ? describeAssemblers() : "";
}

class TargetsCompiler {
public:
  TargetsCompiler(const Input &input, StringRef text, const CompileOptions &options,
                  ArrayRef<Target> targets, const DialectRegistry &registry, Progress &progress)
      : input(input), moduleText(text), assemblers(describeFor(targets)), options(options),
        targets(targets), progress(progress), contexts(registry), cache(options.cache),
        states(targets.size()), pool(llvm::hardware_concurrency(options.jobs)) {
    results.targets.resize(targets.size());
  }

  llvm::Expected<CompiledTargets> compile();

private:
  void start(size_t target);
  void generate(size_t target);
  void build(size_t target, size_t unit);
  void link(size_t target);

  /// Has `work` done by some thread, unless an earlier error makes it vain or the
  /// compilation is to stop.
  template <typename Work> void schedule(Rank rank, Work work) {
    pool.async([this, rank, work] {
      if (!progress.isCancelled() && !error.isBefore(rank))
        work();
    });
  }

  std::string targetKey(const Target &target) const;
  std::string unitKey(const Target &target, const KernelUnit &unit, bool inParts) const;
  llvm::Expected<CompiledUnit> getUnit(const TargetState &state, const Target &target,
                                       const KernelUnit &unit);

  const Input &input;
  StringRef moduleText;
  const std::string assemblers;
  const CompileOptions &options;
  ArrayRef<Target> targets;
  Progress &progress;
  ContextPool contexts;
  CompileCache cache;
  FirstError error;
  std::vector<TargetState> states;
  CompiledTargets results;
  std::atomic<size_t> numBuilt{0}, numPut{0};
  // Last, so that it is the first to go.
  llvm::DefaultThreadPool pool;
};

} // namespace

llvm::Expected<CompiledTargets> TargetsCompiler::compile() {
  for (size_t target = 0; target < targets.size(); ++target)
    schedule({target, generating}, [this, target] { start(target); });
  pool.wait();
  if (numPut)
    cache.prune();
  if (progress.isCancelled())
    return llvm::createStringError("interrupted");
  if (llvm::Error first = error.take())
    return first;
  results.kernelsBuilt = numBuilt;
  return std::move(results);
}

/// What the assembler is belongs to the keys of NVVM chips alone.
static StringRef assemblersOf(const Target &target, StringRef assemblers) {
  return target.chip->backend == Backend::NVVM ? assemblers : "";
}

std::string TargetsCompiler::targetKey(const Target &target) const {
  CacheKey key;
  key.add("target").add(moduleText).add(encodeForKey(optionsFor(target, options.kernels)));
  key.add(target.fnuz).add(options.saveTemps).add(assemblersOf(target, assemblers));
  return key.take();
}

std::string TargetsCompiler::unitKey(const Target &target, const KernelUnit &unit,
                                     bool inParts) const {
  CacheKey key;
  key.add("unit").add(target.chip->name).add(unit.text);
  key.add(inParts).add(inParts ? assemblersOf(target, assemblers) : "");
  return key.take();
}

void TargetsCompiler::start(size_t target) {
  TargetState &state = states[target];
  CompiledTarget &result = results.targets[target];
  StringRef name = targets[target].chip->name;
  if (cache.isEnabled()) {
    state.key = targetKey(targets[target]);
    std::optional<std::string> entry = cache.get(state.key);
    if (entry && decode(*entry, result)) {
      progress.begin(name, result.kernels.size());
      progress.advance(name, result.kernels.size());
      progress.finish(name);
      return;
    }
    result = {};
  }
  generate(target);
}

void TargetsCompiler::generate(size_t target) {
  TargetState &state = states[target];
  std::unique_ptr<MLIRContext> context = contexts.take();
  llvm::Expected<GeneratedTarget> generated =
      generateTarget(input, options, targets[target], *context);
  contexts.giveBack(std::move(context));
  if (!generated)
    return error.add({target, generating}, generated.takeError());
  const ChipInfo &chip = *targets[target].chip;
  state.inParts = chip.backend != Backend::NVVM || canLinkCubins(chip);
  state.generated = std::move(*generated);
  size_t numUnits = state.generated.units.size();
  state.compiled.resize(numUnits);
  state.numLeft = numUnits;
  progress.begin(chip.name, state.generated.numKernels);
  for (size_t unit = 0; unit < numUnits; ++unit)
    schedule({target, unit + 1}, [this, target, unit] { build(target, unit); });
}

llvm::Expected<CompiledUnit>
TargetsCompiler::getUnit(const TargetState &state, const Target &target, const KernelUnit &unit) {
  std::string key;
  if (cache.isEnabled()) {
    CompiledUnit found;
    key = unitKey(target, unit, state.inParts);
    std::optional<std::string> entry = cache.get(key);
    if (entry && decode(*entry, found) && found.kernels.size() == unit.kernels.size())
      return found;
  }
  std::unique_ptr<MLIRContext> context = contexts.take();
  llvm::Expected<CompiledUnit> compiled = compileUnit(unit, target, state.inParts, *context);
  contexts.giveBack(std::move(context));
  if (compiled) {
    numBuilt += unit.kernels.size();
    if (cache.isEnabled()) {
      cache.put(key, encode(*compiled));
      ++numPut;
    }
  }
  return compiled;
}

void TargetsCompiler::build(size_t target, size_t index) {
  TargetState &state = states[target];
  const KernelUnit &unit = state.generated.units[index];
  llvm::Expected<CompiledUnit> compiled = getUnit(state, targets[target], unit);
  if (!compiled)
    return error.add({target, index + 1}, compiled.takeError());
  state.compiled[index] = std::move(*compiled);
  progress.advance(targets[target].chip->name, unit.kernels.size());
  if (--state.numLeft == 0)
    schedule({target, linking}, [this, target] { link(target); });
}

void TargetsCompiler::link(size_t target) {
  TargetState &state = states[target];
  llvm::Expected<CompiledTarget> linked = linkTarget(
      std::move(state.generated), std::move(state.compiled), targets[target], state.inParts);
  if (!linked)
    return error.add({target, linking}, linked.takeError());
  results.targets[target] = std::move(*linked);
  if (cache.isEnabled()) {
    cache.put(state.key, encode(results.targets[target]));
    ++numPut;
  }
  progress.finish(targets[target].chip->name);
}

llvm::Expected<CompiledTargets>
kvq::compileTargets(const Input &input, StringRef text, const CompileOptions &options,
                    ArrayRef<Target> targets, const DialectRegistry &registry, Progress &progress) {
  return TargetsCompiler(input, text, options, targets, registry, progress).compile();
}
