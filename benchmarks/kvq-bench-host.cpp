//===- kvq-bench-host.cpp - Times the host's kernels against memcpy -------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiles the store and load kernels of several formats for the host, loads
// them, and times them on one thread beside a memcpy that moves the same bytes
// (a copy of n bytes moves 2n), in a working set that fits the second-level
// cache and in one that fits none. The blocks of a cache lie in random order.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "Statistics.h"
#include "kvq/Dialect/Kvq.h"
#include "kvq/Serialize/Serializer.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <numeric>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace kvq;
using namespace kvq::bench;
namespace cl = llvm::cl;

static cl::opt<unsigned> repeats("repeats", cl::desc("How often each measurement is taken"),
                                 cl::init(15));
static cl::opt<int64_t> smallTokens("small", cl::desc("Tokens of the working set in cache"),
                                    cl::init(64));
static cl::opt<int64_t> largeTokens("large", cl::desc("Tokens of the working set out of cache"),
                                    cl::init(131072));
static cl::opt<std::string> only("case", cl::desc("Measure this case alone"));
static cl::opt<bool> printAssembly("assembly", cl::desc("Print the case's assembly instead"));

namespace {

constexpr int64_t kHeads = LayerSpec::kvHeads, kHeadSize = LayerSpec::headSize,
                  kBlockSize = LayerSpec::blockSize, kRow = kHeads * kHeadSize;

/// The contract's arguments of a store or load kernel in layout nhd, without
/// scales.
using Kernel = void (*)(void *key, void *value, void *keyCache, void *valueCache,
                        const int64_t *slots, int64_t tokens, int64_t blocks, int64_t keyStride,
                        int64_t valueStride, int64_t keyBlockStride, int64_t keyPageStride,
                        int64_t keyHeadStride, int64_t valueBlockStride, int64_t valuePageStride,
                        int64_t valueHeadStride, const float *kScale, const float *vScale);

struct Case {
  std::string name, sourceType, cacheDtype;
  bool fnuz = false;
  ScalesMode scales = ScalesMode::Fold;
  std::string kScale = "0.023", vScale = "0.031";

  int64_t sourceBytes() const { return sourceType == "f32" ? 4 : 2; }
  int64_t cacheBytes() const { return cacheDtype == "auto" ? sourceBytes() : 1; }
};

struct Kernels {
  Kernel store = nullptr, load = nullptr;
  /// The arithmetic of K's scale.
  std::string storeMethod, loadMethod;
};

/// The memory of all cases, zeroed and touched, in large pages where the system
/// gives them; one for all, so that every case meets the same pages.
class Arena {
public:
  explicit Arena(size_t size) : size(size) {
    void *mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
      fail("cannot get memory");
    data = static_cast<char *>(mapped);
    madvise(data, size, MADV_HUGEPAGE);
    std::memset(data, 0, size);
  }
  Arena(const Arena &) = delete;
  ~Arena() { munmap(data, size); }

  void reset() { used = 0; }

  /// `count` bytes. No two areas have the same place within a page, where a CPU
  /// takes a load for one that depends on an earlier store.
  char *take(size_t count) {
    constexpr size_t page = 4096, stagger = 5 * 128;
    size_t begin = (used + page - 1) / page * page + ++areas * stagger % page;
    used = begin + count;
    if (used > size)
      fail("the working set is larger than the memory taken for it");
    return data + begin;
  }

private:
  char *data = nullptr;
  size_t size, used = 0, areas = 0;
};

} // namespace

static std::vector<Case> allCases() {
  std::vector<Case> cases = {
      {"bf16 to f8E4M3FN", "bf16", "fp8"},
      {"f16 to f8E4M3FN", "f16", "fp8"},
      {"f32 to f8E4M3FN", "f32", "fp8"},
      {"bf16 to f8E5M2", "bf16", "fp8_e5m2"},
      {"bf16 to f8E4M3FNUZ", "bf16", "fp8", true},
      {"bf16 to f8E5M2FNUZ", "bf16", "fp8_e5m2", true},
      {"bf16 to f8E4M3FN, scale 1", "bf16", "fp8"},
      {"bf16 to f8E4M3FN, scales as arguments", "bf16", "fp8", false, ScalesMode::Argument},
      {"bf16 copied (auto)", "bf16", "auto"},
  };
  cases[6].kScale = cases[6].vScale = "1.0";
  return cases;
}

/// The method that the first cache operation of the kind has for K.
static std::string methodOf(mlir::ModuleOp module, CacheOpKind kind) {
  std::string method = "copy";
  module->walk([&](CacheOpInterface op) {
    if (op.getKind() != kind)
      return;
    if (mlir::ArrayAttr all = op.getArithmeticAttr())
      method = stringify(mlir::cast<ArithmeticAttr>(all[0]).getMethod()).str();
    else if (!op.getScaleOperands().empty())
      method = "divide by argument";
  });
  return method;
}

/// The case's code, loaded; it stays loaded until the program ends.
static Kernels compile(const mlir::DialectRegistry &registry, const Case &test) {
  const ChipInfo *host = findChip("host");
  CompileSpec spec{host, test.fnuz, test.scales};
  LayerSpec layer{test.sourceType, test.cacheDtype, test.kScale, test.vScale};
  std::unique_ptr<mlir::MLIRContext> context = makeContext(registry);
  auto module = parse(*context, layer.text());
  runUntilFolded(*module, spec);
  Kernels kernels;
  kernels.storeMethod = methodOf(*module, CacheOpKind::Store);
  kernels.loadMethod = methodOf(*module, CacheOpKind::Load);
  runLowering(*module, spec);
  if (printAssembly) {
    llvm::outs() << take(toAssembly(*module, *host));
    std::exit(0);
  }

  CodeObject object = take(toSharedObject(*module, *host));
  int file = memfd_create("kvq-kernels", MFD_CLOEXEC);
  if (file < 0 || write(file, object.data(), object.size()) != ssize_t(object.size()))
    fail("cannot write the kernels to memory");
  void *library = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW);
  if (!library)
    fail(dlerror());
  module->walk([&](mlir::LLVM::LLVMFuncOp function) {
    void *symbol = dlsym(library, function.getName().str().c_str());
    if (function.getName().starts_with("kvq_store"))
      kernels.store = reinterpret_cast<Kernel>(symbol);
    else if (function.getName().starts_with("kvq_load"))
      kernels.load = reinterpret_cast<Kernel>(symbol);
  });
  if (!kernels.store || !kernels.load)
    fail("expected a store and a load kernel");
  return kernels;
}

/// Fills `rows` with numbers of a normal distribution, as K and V have.
static void fill(const Case &test, char *rows, int64_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  std::vector<float> pattern(1 << 16);
  for (float &value : pattern)
    value = normal(random);
  for (int64_t i = 0; i < count; ++i) {
    float value = pattern[i % pattern.size()];
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if (test.sourceType == "f32") {
      std::memcpy(rows + i * 4, &value, 4);
      continue;
    }
    // Truncated to bf16, or rebiased to f16, whose normal numbers hold these.
    uint32_t exponent = (bits >> 23) & 0xff;
    uint32_t half = exponent < 113 ? 0 : ((exponent - 112) << 10) | ((bits >> 13) & 0x3ff);
    uint16_t narrow = test.sourceType == "bf16" ? bits >> 16 : half | ((bits >> 16) & 0x8000);
    std::memcpy(rows + i * 2, &narrow, 2);
  }
}

/// The tokens' slots: whole blocks in random order.
static std::vector<int64_t> makeSlots(int64_t tokens) {
  int64_t blocks = tokens / kBlockSize;
  std::vector<int64_t> order(blocks), slots(tokens);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(2));
  for (int64_t token = 0; token < tokens; ++token)
    slots[token] = order[token / kBlockSize] * kBlockSize + token % kBlockSize;
  return slots;
}

/// Seconds of one call of `body`, each the mean of enough calls to be measured.
static std::vector<double> time(llvm::function_ref<void()> body) {
  constexpr double shortest = 2e-3;
  body();
  Clock::time_point start = Clock::now();
  body();
  int64_t calls = std::max<int64_t>(1, shortest / std::max(secondsSince(start), 1e-9));
  std::vector<double> seconds;
  for (unsigned i = 0; i < repeats; ++i) {
    start = Clock::now();
    for (int64_t call = 0; call < calls; ++call)
      body();
    seconds.push_back(secondsSince(start) / calls);
  }
  return seconds;
}

/// Measures both kernels and the copy over `tokens` tokens.
static llvm::json::Object measure(Arena &arena, const Case &test, const Kernels &kernels,
                                  int64_t tokens) {
  int64_t count = tokens * kRow, blocks = tokens / kBlockSize;
  int64_t moved = 2 * count * (test.sourceBytes() + test.cacheBytes());
  arena.reset();
  char *key = arena.take(count * test.sourceBytes()),
       *value = arena.take(count * test.sourceBytes());
  char *keyCache = arena.take(count * test.cacheBytes());
  char *valueCache = arena.take(count * test.cacheBytes());
  char *from = arena.take(moved / 2), *to = arena.take(moved / 2);
  fill(test, key, count);
  fill(test, value, count);
  std::vector<int64_t> slots = makeSlots(tokens);
  float kScale = std::stof(test.kScale), vScale = std::stof(test.vScale);
  auto call = [&](Kernel kernel) {
    kernel(key, value, keyCache, valueCache, slots.data(), tokens, blocks, kRow, kRow,
           kBlockSize * kRow, kRow, kHeadSize, kBlockSize * kRow, kRow, kHeadSize, &kScale,
           &vScale);
  };
  auto copy = [&] { std::memcpy(to, from, moved / 2); };

  llvm::json::Object result{{"tokens", tokens}, {"values", 2 * count}, {"bytes_moved", moved}};
  result["memcpy"] = summarize(time(copy));
  result["store"] = summarize(time([&] { call(kernels.store); }));
  result["load"] = summarize(time([&] { call(kernels.load); }));
  return result;
}

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv, "Times the host's kernels against memcpy\n");
  mlir::DialectRegistry registry;
  registerAll(registry);
  // The widest case: float32 rows, bytes in the caches, and the copy's two sides.
  constexpr size_t widest = 2 * 2 * (4 + 1), spare = 1 << 20;
  Arena arena(size_t(std::max(smallTokens, largeTokens)) * kRow * widest + spare);
  llvm::json::Array results;
  for (const Case &test : allCases()) {
    if (!only.empty() && test.name != only)
      continue;
    Kernels kernels = compile(registry, test);
    results.push_back(
        llvm::json::Object{{"case", test.name},
                           {"store_method", kernels.storeMethod},
                           {"load_method", kernels.loadMethod},
                           {"in_cache", measure(arena, test, kernels, smallTokens)},
                           {"out_of_cache", measure(arena, test, kernels, largeTokens)}});
  }
  llvm::outs() << llvm::json::Value(std::move(results)) << "\n";
  return 0;
}
