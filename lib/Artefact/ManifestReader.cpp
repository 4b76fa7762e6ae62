//===- ManifestReader.cpp - manifest.json as structs ----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/ManifestReader.h"
#include "JsonFields.h"
#include "kvq/Artefact/Hash.h"
#include "kvq/Json/Quote.h"
#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>

using namespace kvq;
using Limits = ManifestLimits;

namespace {

class ManifestReader : private JsonFields {
public:
  Result<Manifest> read(const JsonValue &document) {
    if (readDocument(JsonPlace(document)))
      return std::move(manifest);
    return Failure{std::move(problem)};
  }

private:
  bool readDocument(const JsonPlace &root);
  bool readSchema(const JsonPlace &place);
  bool readCheckpoint(const JsonPlace &place);
  bool readTarget(const JsonPlace &place);
  bool readHashes(const JsonPlace &place);
  bool readKernel(const JsonPlace &place);
  bool readScales(const JsonPlace &place, ManifestKernel &kernel);
  /// {"shape": [2], "values": [0.5, 0.25]}, the scales of KV heads.
  bool readHeads(const JsonPlace &place, std::vector<float> &values);
  bool readArguments(const JsonPlace &place, ManifestKernel &kernel);
  bool readBlock(const JsonPlace &place, ManifestKernel &kernel);
  bool readGrid(const JsonPlace &place, ManifestKernel &kernel);
  bool readSizes(const JsonPlace &place, const ManifestKernel &kernel,
                 std::array<LaunchSize, 3> &sizes);
  bool readSize(const JsonPlace &place, const ManifestKernel &kernel, unsigned depth,
                unsigned &nodes, LaunchSize &size);
  bool readLayer(const JsonPlace &place);
  bool readLayerScales(const JsonPlace &place, ManifestLayerTarget &layer);
  /// A symbol of a kernel that does `op`.
  bool readSymbol(const JsonPlace &place, const ManifestLayerTarget &layer, const std::string &op,
                  std::string &symbol);
  bool readLayerKernels(const JsonPlace &place, ManifestLayerTarget &layer);
  bool readLayerVariants(const JsonPlace &place, ManifestLayerTarget &layer);

  bool word(const JsonPlace &place, std::string &result) { return text(place, result, 256); }
  bool identifier(const JsonPlace &place, std::string &result);
  bool fileName(const JsonPlace &place, std::string_view name);
  bool hash(const JsonPlace &place, std::string &result);
  /// Calls `read` with what a layer has for each target, in the targets' order.
  template <typename Read>
  bool eachTarget(const JsonPlace &layer, std::string_view key, const Read &read);

  Manifest manifest;
  /// The kernels' places by target and symbol, which has no '.'.
  std::unordered_map<std::string, size_t> kernelPlaces;
  std::unordered_set<std::string> layerNames;
};

} // namespace

bool ManifestReader::identifier(const JsonPlace &place, std::string &result) {
  return text(place, result, Limits::symbol) &&
         (isCIdentifier(result) || unexpected(place, "an identifier of C"));
}

bool ManifestReader::fileName(const JsonPlace &place, std::string_view name) {
  if (isPlainFileName(name) && name != kManifestFile)
    return true;
  return fail(place, "expected the name of a file in the folder itself, of letters, digits, '.', "
                     "'_' and '-', but got " +
                         quoteName(name));
}

bool ManifestReader::hash(const JsonPlace &place, std::string &result) {
  return text(place, result) &&
         (isSha256Text(result) || unexpected(place, "a SHA-256 as 64 lower hexadecimal digits"));
}

bool ManifestReader::readSchema(const JsonPlace &place) {
  std::string schema;
  if (!text(place, schema))
    return false;
  return schema == kManifestSchema ||
         unexpected(place, "'" + std::string(kManifestSchema) + "', the one schema that is read");
}

bool ManifestReader::readCheckpoint(const JsonPlace &place) {
  return member(place, "format", [&](const auto &at) { return word(at, manifest.format); }) &&
         member(place, "model_type",
                [&](const auto &at) {
                  manifest.modelType = at.value.string;
                  return at.value.isString() || unexpected(at, "a text");
                }) &&
         member(place, "sha256", [&](const auto &at) { return hash(at, manifest.sha256); });
}

bool ManifestReader::readTarget(const JsonPlace &place) {
  ManifestTarget target;
  auto readName = [&](const JsonPlace &at) {
    if (!identifier(at, target.target))
      return false;
    for (const ManifestTarget &other : manifest.targets)
      if (other.target == target.target)
        return fail(at,
                    "expected each target once, but got " + quoteName(target.target) + " twice");
    return true;
  };
  auto readBackend = [&](const JsonPlace &at) {
    static constexpr std::string_view backends[] = {"nvvm", "rocdl", "host"};
    return word(at, target.backend) && (std::find(std::begin(backends), std::end(backends),
                                                  target.backend) != std::end(backends) ||
                                        unexpected(at, "'nvvm', 'rocdl' or 'host'"));
  };
  auto readFile = [&](const std::string &kind, const JsonPlace &at) {
    std::string name;
    if (!text(at, name) || !fileName(at, name))
      return false;
    target.files.emplace_back(kind, name);
    return true;
  };
  if (!member(place, "target", readName) || !member(place, "backend", readBackend) ||
      !member(place, "fnuz", [&](const auto &at) { return boolean(at, target.fnuz); }) ||
      !optionalMember(place, "cache_type",
                      [&](const auto &at) { return word(at, target.cacheType.emplace()); }) ||
      !member(place, "files", [&](const auto &at) { return eachMember(at, readFile); }))
    return false;
  manifest.targets.push_back(std::move(target));
  return true;
}

bool ManifestReader::readHashes(const JsonPlace &place) {
  std::unordered_set<std::string_view> names;
  auto readHash = [&](const std::string &name, const JsonPlace &at) {
    ManifestHash entry;
    if (!fileName(at, name) || !hash(at, entry.sha256))
      return false;
    entry.file = name;
    names.insert(name);
    manifest.hashes.push_back(std::move(entry));
    return true;
  };
  if (!eachMember(place, readHash))
    return false;
  for (const ManifestTarget &target : manifest.targets)
    for (const auto &[kind, name] : target.files)
      if (!names.count(name))
        return fail(place, "expected a hash of every file, but " + quoteName(name) + " of target " +
                               quoteName(target.target) + " has none");
  return true;
}

bool ManifestReader::readHeads(const JsonPlace &place, std::vector<float> &values) {
  auto readShape = [&](const JsonPlace &at) {
    int64_t count = 0;
    if (!array(at) || at.value.elements.size() != 1)
      return unexpected(at, "a list of one number, that of the KV heads");
    if (!integer(JsonPlace(at, 0), 1, Limits::size, count))
      return false;
    values.resize(size_t(count));
    return true;
  };
  auto readValues = [&](const JsonPlace &at) {
    if (!array(at))
      return false;
    if (at.value.elements.size() != values.size())
      return fail(at, "expected " + std::to_string(values.size()) +
                          " numbers, as the shape says, "
                          "but got " +
                          std::to_string(at.value.elements.size()));
    for (size_t head = 0; head < values.size(); ++head)
      if (!scale(JsonPlace(at, head), values[head]))
        return false;
    return true;
  };
  return member(place, "shape", readShape) && member(place, "values", readValues);
}

bool ManifestReader::readScales(const JsonPlace &place, ManifestKernel &kernel) {
  return eachMember(place, [&](const std::string &name, const JsonPlace &at) {
    ManifestScale scale;
    auto readTried = [&](const JsonPlace &field) {
      scale.tried = field.value.number.natural;
      return scale.tried || unexpected(field, "a natural number");
    };
    auto readValue = [&](const JsonPlace &field) {
      if (!field.value.isObject())
        return this->scale(field, scale.value.emplace());
      return readHeads(field, scale.headValues) &&
             (int64_t(scale.headValues.size()) == kernel.numKVHeads ||
              fail(field, "expected a number for each of " + std::to_string(kernel.numKVHeads) +
                              " KV heads, but got " + std::to_string(scale.headValues.size())));
    };
    if (!optionalMember(at, "value", readValue) ||
        !member(at, "method", [&](const auto &field) { return word(field, scale.method); }) ||
        !optionalMember(at, "tried", readTried))
      return false;
    if (!isCIdentifier(name) || name.size() > Limits::symbol)
      return fail(at, "expected the name of a scale");
    bool hasValue = scale.value || !scale.headValues.empty();
    if (hasValue == (scale.method == "argument"))
      return fail(at, "expected a value, or the method 'argument', but got " +
                          std::string(hasValue ? "both" : "neither"));
    kernel.scales.emplace_back(name, scale);
    return true;
  });
}

bool ManifestReader::readArguments(const JsonPlace &place, ManifestKernel &kernel) {
  std::unordered_set<std::string> names;
  bool good = eachElement(place, [&](const JsonPlace &at) {
    ManifestArgument argument;
    auto readType = [&](const JsonPlace &field) {
      return text(field, argument.type) &&
             (argument.type == "ptr" || argument.type == "i64" || argument.type == "i32" ||
              unexpected(field, "'ptr', 'i64' or 'i32'"));
    };
    auto readAlign = [&](const JsonPlace &field) {
      int64_t &align = argument.align.emplace();
      if (argument.type != "ptr")
        return fail(field, "expected an alignment of a 'ptr' alone");
      return integer(field, 1, Limits::align, align) &&
             ((align & (align - 1)) == 0 || unexpected(field, "a power of two"));
    };
    auto readDivisible = [&](const JsonPlace &field) {
      if (argument.type == "ptr")
        return fail(field, "expected a divisor of an integer alone");
      return integer(field, 1, Limits::size, argument.divisible.emplace());
    };
    if (!member(at, "name", [&](const auto &field) { return identifier(field, argument.name); }) ||
        !member(at, "type", readType) || !optionalMember(at, "align", readAlign) ||
        !optionalMember(at, "divisible", readDivisible))
      return false;
    if (!names.insert(argument.name).second)
      return fail(at,
                  "expected each argument once, but got " + quoteName(argument.name) + " twice");
    kernel.args.push_back(std::move(argument));
    return true;
  });
  if (good && kernel.args.size() > Limits::arguments)
    return fail(place, "expected at most " + std::to_string(Limits::arguments) +
                           " arguments, but got " + std::to_string(kernel.args.size()));
  return good;
}

bool ManifestReader::readSize(const JsonPlace &place, const ManifestKernel &kernel, unsigned depth,
                              unsigned &nodes, LaunchSize &size) {
  if (depth > Limits::launchDepth || ++nodes > Limits::launchNodes)
    return fail(place, "expected a size of at most " + std::to_string(Limits::launchNodes) +
                           " parts, " + std::to_string(Limits::launchDepth) + " deep");
  if (place.value.kind == JsonValue::Kind::Number)
    return integer(place, 1, Limits::gridX, size.number);
  if (place.value.isString()) {
    size = LaunchSize::of(place.value.string);
    for (const ManifestArgument &argument : kernel.args)
      if (argument.name == size.argument)
        return argument.type != "ptr" ||
               fail(place, "expected an integer argument, but " + quoteName(size.argument) +
                               " is a pointer");
    return unexpected(place, "the name of an argument");
  }
  constexpr std::string_view wanted =
      "a number, the name of an argument, or one of 'ceil_div', 'mul', 'min', 'max' of two sizes";
  if (!place.value.isObject() || place.value.members.size() != 1)
    return unexpected(place, std::string(wanted));
  const auto &[key, operands] = place.value.members.front();
  std::optional<LaunchSize::Kind> kind = launchSizeKind(key);
  JsonPlace inner(place, key, operands);
  if (!kind)
    return fail(place, "expected " + std::string(wanted) + ", but got " + quoteName(key));
  if (!operands.isArray() || operands.elements.size() != 2)
    return fail(inner, "expected two sizes");
  size.kind = *kind;
  size.operands.resize(2);
  return readSize(JsonPlace(inner, 0), kernel, depth + 1, nodes, size.operands[0]) &&
         readSize(JsonPlace(inner, 1), kernel, depth + 1, nodes, size.operands[1]);
}

bool ManifestReader::readSizes(const JsonPlace &place, const ManifestKernel &kernel,
                               std::array<LaunchSize, 3> &sizes) {
  if (!array(place))
    return false;
  if (place.value.elements.size() != sizes.size())
    return fail(place,
                "expected three sizes, but got " + std::to_string(place.value.elements.size()));
  for (size_t index = 0; index < sizes.size(); ++index) {
    unsigned nodes = 0;
    if (!readSize(JsonPlace(place, index), kernel, 1, nodes, sizes[index]))
      return false;
  }
  return true;
}

bool ManifestReader::readBlock(const JsonPlace &place, ManifestKernel &kernel) {
  if (!readSizes(place, kernel, kernel.block))
    return false;
  int64_t threads = 1;
  for (size_t index = 0; index < kernel.block.size(); ++index) {
    const LaunchSize &size = kernel.block[index];
    // Sizes that hang on an argument are known, and bounded, at the launch.
    int64_t least = size.kind == LaunchSize::Kind::Number ? size.number : 1;
    if (least > Limits::threads || (threads *= least) > Limits::threads)
      return fail(place,
                  "expected at most " + std::to_string(Limits::threads) + " threads in a block");
  }
  return true;
}

bool ManifestReader::readGrid(const JsonPlace &place, ManifestKernel &kernel) {
  if (!readSizes(place, kernel, kernel.grid))
    return false;
  for (size_t index : {1, 2})
    if (kernel.grid[index].kind == LaunchSize::Kind::Number &&
        kernel.grid[index].number > Limits::gridYZ)
      return unexpected(JsonPlace(place, index),
                        "at most " + std::to_string(Limits::gridYZ) + " blocks along y and z");
  return true;
}

bool ManifestReader::readKernel(const JsonPlace &place) {
  ManifestKernel kernel;
  auto readTargetName = [&](const JsonPlace &at) {
    if (!word(at, kernel.target))
      return false;
    for (const ManifestTarget &target : manifest.targets)
      if (target.target == kernel.target)
        return true;
    return unexpected(at, "one of the targets");
  };
  auto count = [&](std::string_view key, int64_t &result) {
    return member(place, key, [&](const auto &at) { return integer(at, 1, Limits::size, result); });
  };
  auto optionalCount = [&](std::string_view key, int64_t most, int64_t &result) {
    return optionalMember(place, key, [&](const auto &at) { return integer(at, 0, most, result); });
  };
  auto name = [&](std::string_view key, std::string &result) {
    return member(place, key, [&](const auto &at) { return word(at, result); });
  };
  auto readLayout = [&](const JsonPlace &at) { return text(at, kernel.layout, 1 << 12); };
  auto readConstants = [&](const JsonPlace &constants) {
    return eachMember(constants, [&](const std::string &scaleName, const JsonPlace &at) {
      return scale(at, kernel.scaleConstants.emplace_back(scaleName, 0.0f).second);
    });
  };
  if (!member(place, "symbol", [&](const auto &at) { return identifier(at, kernel.symbol); }) ||
      !member(place, "target", readTargetName) || !name("op", kernel.op) ||
      !member(place, "layout", readLayout) || !name("source_type", kernel.sourceType) ||
      !name("cache_type", kernel.cacheType) || !count("num_kv_heads", kernel.numKVHeads) ||
      !count("head_size", kernel.headSize) || !count("block_size", kernel.blockSize) ||
      !optionalCount("kv_lora_rank", kernel.headSize - 1, kernel.kvLoraRank) ||
      !optionalCount("num_heads", Limits::size, kernel.numHeads) ||
      !optionalCount("padding_slot", std::numeric_limits<int64_t>::max(), kernel.paddingSlot) ||
      !optionalMember(place, "bounds", [&](const auto &at) { return word(at, kernel.bounds); }) ||
      !optionalMember(place, "scale_constants", readConstants) ||
      !member(place, "scales", [&](const auto &at) { return readScales(at, kernel); }) ||
      !member(place, "args", [&](const auto &at) { return readArguments(at, kernel); }) ||
      !member(place, "block", [&](const auto &at) { return readBlock(at, kernel); }) ||
      !member(place, "grid", [&](const auto &at) { return readGrid(at, kernel); }) ||
      !member(place, "shared_bytes", [&](const auto &at) {
        return integer(at, 0, Limits::sharedBytes, kernel.sharedBytes);
      }))
    return false;
  if (!kernelPlaces.try_emplace(kernel.target + "." + kernel.symbol, manifest.kernels.size())
           .second)
    return fail(place, "expected each symbol once for a target, but got " +
                           quoteName(kernel.symbol) + " twice");
  manifest.kernels.push_back(std::move(kernel));
  return true;
}

bool ManifestReader::readLayerScales(const JsonPlace &place, ManifestLayerTarget &layer) {
  for (size_t index = 0; index < layer.scales.size(); ++index) {
    auto read = [&](const JsonPlace &at) {
      bool mayBePerHead =
          std::find(std::begin(kHeadScales), std::end(kHeadScales), index) != std::end(kHeadScales);
      if (!mayBePerHead || !at.value.isObject())
        return scale(at, layer.scales[index]);
      layer.scales[index] = std::numeric_limits<float>::quiet_NaN();
      return readHeads(at, layer.headScales[index]);
    };
    if (!member(place, kLayerScales[index], read))
      return false;
  }
  return true;
}

bool ManifestReader::readSymbol(const JsonPlace &place, const ManifestLayerTarget &layer,
                                const std::string &op, std::string &symbol) {
  if (!identifier(place, symbol))
    return false;
  auto found = kernelPlaces.find(layer.target + "." + symbol);
  if (found == kernelPlaces.end())
    return unexpected(place, "the symbol of a kernel of target " + quoteName(layer.target));
  const std::string &present = manifest.kernels[found->second].op;
  return present == op || fail(place, "expected a kernel that does " + quoteName(op) + ", but " +
                                          quoteName(symbol) + " does " + quoteName(present));
}

bool ManifestReader::readLayerKernels(const JsonPlace &place, ManifestLayerTarget &layer) {
  return eachMember(place, [&](const std::string &op, const JsonPlace &at) {
    return readSymbol(at, layer, op, layer.kernels.emplace_back(op, "").second);
  });
}

bool ManifestReader::readLayerVariants(const JsonPlace &place, ManifestLayerTarget &layer) {
  return eachMember(place, [&](const std::string &op, const JsonPlace &variants) {
    return eachMember(variants, [&](const std::string &name, const JsonPlace &at) {
      if (!isCIdentifier(name) || name.size() > Limits::symbol)
        return fail(at, "expected the name of a variant");
      layer.variants.push_back({op, name, ""});
      return readSymbol(at, layer, op, layer.variants.back().symbol);
    });
  });
}

template <typename Read>
bool ManifestReader::eachTarget(const JsonPlace &layer, std::string_view key, const Read &read) {
  return member(layer, key, [&](const JsonPlace &table) {
    if (!object(table))
      return false;
    std::vector<ManifestLayerTarget> &targets = manifest.layers.back().targets;
    for (ManifestLayerTarget &target : targets)
      if (!member(table, target.target, [&](const auto &at) { return read(at, target); }))
        return false;
    for (const JsonValue::Member &entry : table.value.members)
      if (std::none_of(targets.begin(), targets.end(),
                       [&](const auto &target) { return target.target == entry.first; }))
        return fail(table, "expected the artefact's targets, but got " + quoteName(entry.first));
    return true;
  });
}

bool ManifestReader::readLayer(const JsonPlace &place) {
  ManifestLayer &layer = manifest.layers.emplace_back();
  for (const ManifestTarget &target : manifest.targets)
    layer.targets.emplace_back().target = target.target;
  constexpr int64_t last = std::numeric_limits<int64_t>::max();
  auto readName = [&](const JsonPlace &at) {
    return text(at, layer.name) &&
           (layerNames.insert(layer.name).second ||
            fail(at, "expected each layer once, but got " + quoteName(layer.name) + " twice"));
  };
  return member(place, "name", readName) &&
         member(place, "index",
                [&](const auto &at) { return integer(at, 0, last, layer.index); }) &&
         eachTarget(place, "scales",
                    [&](const auto &at, auto &target) { return readLayerScales(at, target); }) &&
         eachTarget(
             place, "calculate_kv_scales",
             [&](const auto &at, auto &target) { return boolean(at, target.calculateKVScales); }) &&
         eachTarget(place, "kernels",
                    [&](const auto &at, auto &target) { return readLayerKernels(at, target); }) &&
         (!place.value.find("variants") || eachTarget(place, "variants",
                                                      [&](const auto &at, auto &target) {
                                                        return readLayerVariants(at, target);
                                                      })) &&
         eachTarget(place, "warnings",
                    [&](const auto &at, auto &target) { return texts(at, target.warnings); }) &&
         eachTarget(place, "notes",
                    [&](const auto &at, auto &target) { return texts(at, target.notes); });
}

bool ManifestReader::readDocument(const JsonPlace &root) {
  auto readEach = [&](std::string_view key, bool (ManifestReader::*read)(const JsonPlace &)) {
    return member(root, key, [&](const auto &list) {
      return eachElement(list, [&](const JsonPlace &at) { return (this->*read)(at); });
    });
  };
  return member(root, "schema", [&](const auto &at) { return readSchema(at); }) &&
         member(root, "producer", [&](const auto &at) { return word(at, manifest.producer); }) &&
         member(root, "checkpoint", [&](const auto &at) { return readCheckpoint(at); }) &&
         member(root, "tensor_parallel_size",
                [&](const auto &at) {
                  return integer(at, 1, Limits::size, manifest.tensorParallelSize);
                }) &&
         member(root, "warnings", [&](const auto &at) { return texts(at, manifest.warnings); }) &&
         member(root, "notes", [&](const auto &at) { return texts(at, manifest.notes); }) &&
         readEach("targets", &ManifestReader::readTarget) &&
         member(root, "sha256", [&](const auto &at) { return readHashes(at); }) &&
         readEach("kernels", &ManifestReader::readKernel) &&
         readEach("layers", &ManifestReader::readLayer);
}

Result<Manifest> kvq::readManifest(std::string_view text) {
  // Deep enough for launch sizes at their limit.
  Result<JsonValue> document = parseJsonText(text, {/*maxDepth=*/32, /*allowNonFinite=*/false});
  if (!document)
    return document.failure();
  return ManifestReader().read(*document);
}
