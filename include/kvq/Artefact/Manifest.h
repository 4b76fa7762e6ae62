//===- Manifest.h - What an artefact holds ----------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The schema `kvq.manifest/1` as structs, in the order of its keys, and its
// writer. Nothing here knows LLVM, so that a runtime can use it.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_ARTEFACT_MANIFEST_H
#define KVQ_ARTEFACT_MANIFEST_H

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvq {

/// The file of an artefact that describes the others.
inline constexpr const char *kManifestFile = "manifest.json";
/// What the manifest's first line says it is.
inline constexpr const char *kManifestSchema = "kvq.manifest/1";

/// A size of a grid or a block: a number, an argument's name, or two sizes
/// joined.
struct LaunchSize {
  enum class Kind { Number, Argument, CeilDiv, Mul, Min, Max };
  Kind kind = Kind::Number;
  int64_t number = 1;
  std::string argument;
  /// Two for the joined kinds, else none.
  std::vector<LaunchSize> operands;

  static LaunchSize of(int64_t number);
  static LaunchSize of(const std::string &argument);
  static LaunchSize ceilDiv(LaunchSize dividend, LaunchSize divisor);
  static LaunchSize mul(LaunchSize a, LaunchSize b);
};

/// The key of a joined kind: 'ceil_div', 'mul', 'min' or 'max'.
const char *launchSizeKey(LaunchSize::Kind kind);
/// The joined kind of that key.
std::optional<LaunchSize::Kind> launchSizeKind(std::string_view key);

struct ManifestArgument {
  std::string name;
  /// 'ptr', 'i64' or 'i32'.
  std::string type;
  /// Of a pointer, in bytes.
  std::optional<int64_t> align;
  /// Of a stride, in elements.
  std::optional<int64_t> divisible;
};

/// How a kernel uses one scale.
struct ManifestScale {
  /// Null where the scale is an argument, or is per head.
  std::optional<float> value;
  std::string method;
  /// How many inputs the proof of the method tried; absent without a proof.
  std::optional<uint64_t> tried;
  /// The number of each KV head where the scale is per head, else none.
  std::vector<float> headValues = {};
};

struct ManifestKernel {
  std::string symbol, target, op, layout, sourceType, cacheType;
  int64_t numKVHeads = 0, headSize = 0, blockSize = 0;
  /// Elements of a latent row that are its latent part; 0 for caches of K and V.
  int64_t kvLoraRank = 0;
  /// Query heads, of operations on queries; else 0.
  int64_t numHeads = 0;
  /// A slot that is skipped as the negative ones are; negative for none.
  int64_t paddingSlot = -1;
  /// What becomes of slots beyond the cache: 'check', 'count' or 'off'; empty of
  /// operations without slots.
  std::string bounds = {};
  /// Of operations that compute scales, what they divide maxima by, by the scales'
  /// names, in order.
  std::vector<std::pair<std::string, float>> scaleConstants = {};
  /// By the scales' names, in order; none where the cache holds the source type.
  std::vector<std::pair<std::string, ManifestScale>> scales;
  std::vector<ManifestArgument> args;
  std::array<LaunchSize, 3> block, grid;
  int64_t sharedBytes = 0;
};

struct ManifestTarget {
  std::string target, backend;
  bool fnuz = false;
  /// Null where layers differ or, with `auto`, have no source type.
  std::optional<std::string> cacheType;
  /// Kind ('ptx', 'cubin', 'hsaco', 'shared_object', 'resolved_ir') and name.
  std::vector<std::pair<std::string, std::string>> files;
};

/// The SHA-256 of a file of the artefact, as 64 lower hexadecimal digits.
struct ManifestHash {
  std::string file, sha256;
};

/// The names of a layer's resolved scales, in their order.
inline constexpr const char *kLayerScales[] = {"q", "k", "v", "prob"};
/// The places among them of those that may be per head: k and v.
inline constexpr size_t kHeadScales[] = {1, 2};

/// A kernel of an operation beside the one that a layer names.
struct ManifestVariant {
  /// `name` tells it from the others of its operation: 'align4', 'dynamic' where
  /// it takes as arguments the scales that the named one has folded,
  /// 'align4_dynamic'.
  std::string op, name, symbol;
};

/// What one target makes of a layer.
struct ManifestLayerTarget {
  std::string target;
  /// In the order of kLayerScales; of a scale per head a NaN.
  std::array<float, 4> scales = {1.0f, 1.0f, 1.0f, 1.0f};
  /// In the same order, the number of each KV head where a scale is per head, else
  /// none.
  std::array<std::vector<float>, 4> headScales;
  bool calculateKVScales = false;
  /// Operation and symbol.
  std::vector<std::pair<std::string, std::string>> kernels;
  /// Those of an operation side by side.
  std::vector<ManifestVariant> variants;
  std::vector<std::string> warnings, notes;
};

struct ManifestLayer {
  std::string name;
  int64_t index = 0;
  /// In the order of Manifest::targets.
  std::vector<ManifestLayerTarget> targets;
};

struct Manifest {
  /// Name and version of the program, e.g. 'kvq 0.1.0'.
  std::string producer;
  /// Of the checkpoint.
  std::string format, modelType, sha256;
  int64_t tensorParallelSize = 1;
  std::vector<std::string> warnings, notes;
  std::vector<ManifestTarget> targets;
  std::vector<ManifestKernel> kernels;
  /// Ordered by (index, name).
  std::vector<ManifestLayer> layers;
  /// Of every other file of the artefact, ordered by name.
  std::vector<ManifestHash> hashes;
};

/// The text of `manifest.json`.
std::string toJsonText(const Manifest &manifest);

} // namespace kvq

#endif // KVQ_ARTEFACT_MANIFEST_H
