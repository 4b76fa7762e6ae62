//===- Checkpoint.cpp - What a checkpoint says of its KV cache ------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Checkpoint.h"
#include "kvq/Checkpoint/Findings.h"
#include "kvq/Checkpoint/LayerNames.h"
#include "kvq/Checkpoint/LegacyJson.h"
#include "kvq/Checkpoint/ScaleValue.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <set>

using namespace llvm;
using namespace kvq;

static constexpr uint64_t maxConfigSize = 16'000'000;

static std::optional<SourceType> sourceTypeOf(StringRef text) {
  text.consume_front("torch.");
  return StringSwitch<std::optional<SourceType>>(text)
      .Case("bfloat16", SourceType::BF16)
      .Cases({"float16", "half"}, SourceType::F16)
      .Cases({"float32", "float"}, SourceType::F32)
      .Default(std::nullopt);
}

static Expected<HfConfig> readConfig(StringRef path, StringRef name, ReadLog &log) {
  Expected<std::string> text = readTextFile(path, name, maxConfigSize, log);
  if (!text)
    return text.takeError();
  return parseHfConfig(*text, path);
}

namespace {

/// Reads a Hugging Face folder.
class FolderReader {
public:
  FolderReader(StringRef folder, const ReadOptions &options, ReadLog &log)
      : folder(folder), options(options), log(log) {}

  Expected<Checkpoint> read();

private:
  StringRef folder;
  const ReadOptions &options;
  ReadLog &log;
  /// The folder's files, sorted.
  std::vector<std::string> fileNames;
  Checkpoint checkpoint;
  FormatFacts facts;

  bool has(StringRef name) const { return is_contained(fileNames, name); }
  std::string pathOf(StringRef name) const {
    SmallString<256> path(folder);
    sys::path::append(path, name);
    return path.str().str();
  }
  Error listFiles();
  Error refuseForeignFolder();
  Expected<ModelGeometry> readConfiguration();
  Error readLayer(const NamedLayer &named, const ShardSet &shards);
  Error addScale(CheckpointLayer &layer, const NamedScale &named, const ShardSet &shards);
  Expected<CheckpointScale> readOneScale(StringRef tensor, const ShardSet &shards,
                                         std::vector<std::string> &notes);
  void noteNames(const NamedLayers &named, const ShardSet &shards);
  void dropLatentValue(CheckpointLayer &layer);
};

} // namespace

Error FolderReader::listFiles() {
  std::error_code code;
  for (sys::fs::directory_iterator it(folder, code), end; it != end && !code; it.increment(code))
    fileNames.push_back(sys::path::filename(it->path()).str());
  if (code)
    return fileError(folder, code.message());
  llvm::sort(fileNames);
  return Error::success();
}

/// A folder in Mistral's own format, which has no config.json.
Error FolderReader::refuseForeignFolder() {
  if (has("config.json") || !options.configFile.empty())
    return Error::success();
  bool consolidatedOnly = false;
  for (StringRef name : fileNames)
    if (name.ends_with(".safetensors"))
      consolidatedOnly = name.starts_with("consolidated");
  if (has("params.json") && consolidatedOnly)
    return unsupportedFormat(folder, CheckpointFormat::Mistral);
  return Error::success();
}

Expected<ModelGeometry> FolderReader::readConfiguration() {
  std::string path = options.configFile.empty() ? pathOf("config.json") : options.configFile;
  if (options.configFile.empty() && !has("config.json")) {
    ModelGeometry geometry;
    geometry.error = (folder + ": expected a 'config.json'").str();
    geometry.patterns = layerPatterns("");
    checkpoint.notes.push_back("the folder has no config.json; the layers are told by the "
                               "tensors' names");
    facts = recogniseFormat({HfConfig{}, nullptr});
    return geometry;
  }
  Expected<HfConfig> config = readConfig(path, "config.json", log);
  if (!config)
    return config.takeError();
  checkpoint.modelType = config->modelType().str();
  checkpoint.dtypeText = config->dtype();
  checkpoint.sourceType = sourceTypeOf(checkpoint.dtypeText);

  JsonValue hfQuantConfig;
  FormatInput input{*config, nullptr};
  if (has("hf_quant_config.json")) {
    std::string quantPath = pathOf("hf_quant_config.json");
    Expected<HfConfig> parsed = readConfig(quantPath, "hf_quant_config.json", log);
    if (!parsed)
      return parsed.takeError();
    hfQuantConfig = std::move(parsed->root);
    input.hfQuantConfig = &hfQuantConfig;
  }
  facts = recogniseFormat(input);
  if (facts.format == CheckpointFormat::TensorRTLLM)
    return unsupportedFormat(folder, facts.format);
  checkpoint.format = facts.format;
  Expected<ModelGeometry> geometry = readGeometry(*config);
  if (!geometry)
    return geometry.takeError();
  append_range(checkpoint.notes, facts.notes);
  append_range(checkpoint.notes, geometry->notes);
  return geometry;
}

/// A tensor that several files hold must be the same in all.
Expected<CheckpointScale> FolderReader::readOneScale(StringRef tensor, const ShardSet &shards,
                                                     std::vector<std::string> &notes) {
  ArrayRef<StoredTensor> places = shards.find(tensor);
  Expected<CheckpointScale> scale = readScale(shards, places.front());
  if (!scale)
    return scale.takeError();
  for (const StoredTensor &place : drop_begin(places)) {
    Expected<CheckpointScale> other = readScale(shards, place);
    if (!other)
      return other.takeError();
    if (!sameValues(*scale, *other))
      return fileError(folder, "the tensor " + quoteName(tensor) + " differs between " +
                                   quoteName(scale->file) + " and " + quoteName(other->file));
  }
  if (!shards.isIndexed(tensor))
    notes.push_back("the index does not name " + quoteName(tensor) + " in " +
                    quoteName(scale->file) + "; read all the same");
  return scale;
}

Error FolderReader::addScale(CheckpointLayer &layer, const NamedScale &named,
                             const ShardSet &shards) {
  Expected<CheckpointScale> scale = readOneScale(named.tensor, shards, layer.notes);
  if (!scale)
    return scale.takeError();
  std::optional<CheckpointScale> &place = layer.scales[size_t(named.rule->kind)];
  if (!place) {
    place = std::move(*scale);
    return Error::success();
  }
  std::string both = quoteName(place->tensor) + " in " + quoteName(place->file) + " and " +
                     quoteName(scale->tensor) + " in " + quoteName(scale->file);
  if (!sameValues(*place, *scale))
    return fileError(folder, "two tensors for one scale differ: " + both + " (" +
                                 describeScale(*place) + " and " + describeScale(*scale) + ")");
  layer.notes.push_back("two tensors give one scale, and agree: " + both);
  return Error::success();
}

/// A layer of latent attention stores one row, which k's scale covers.
void FolderReader::dropLatentValue(CheckpointLayer &layer) {
  std::optional<CheckpointScale> &v = layer.scales[size_t(ScaleKind::V)];
  if (!v || !layer.geometry || !layer.geometry->kvLoraRank)
    return;
  const std::optional<CheckpointScale> &k = layer.scales[size_t(ScaleKind::K)];
  std::string note = "latent attention has one scale per row: " + quoteName(v->tensor) + " (" +
                     describeScale(*v) + ") is not used";
  if (k && !sameValues(*k, *v))
    note += " and differs from k_scale (" + describeScale(*k) + ")";
  layer.notes.push_back(std::move(note));
  v.reset();
}

Error FolderReader::readLayer(const NamedLayer &named, const ShardSet &shards) {
  CheckpointLayer layer;
  layer.name = named.name;
  layer.index = named.layer.index;
  layer.geometry = named.layer.geometry;
  for (const NamedScale &scale : named.scales)
    if (Error error = addScale(layer, scale, shards))
      return error;
  for (const std::string &name : named.zeroPoints) {
    for (const StoredTensor &tensor : shards.find(name)) {
      Expected<bool> isZero = isZeroPoint(shards, tensor);
      if (!isZero)
        return isZero.takeError();
      if (!*isZero)
        return shards.error(tensor, "expected a zero point of zeros; FP8 caches are symmetric");
    }
  }
  for (const NamedScale &scale : named.scales)
    if (scale.rule->form == NameForm::Deprecated)
      layer.notes.push_back("deprecated name " + quoteName(scale.tensor) +
                            ": it fills k_scale, which the rules copy to v_scale");
    else if (scale.rule->suffix == ".k_proj.v_scale" || scale.rule->suffix == ".v_proj.k_scale")
      layer.notes.push_back(quoteName(scale.tensor) + " is taken for " +
                            stringify(scale.rule->kind).str() +
                            "_scale: the last part of the name decides");
  dropLatentValue(layer);
  checkpoint.layers.push_back(std::move(layer));
  return Error::success();
}

/// Names that kvq reads and an engine of today loses.
void FolderReader::noteNames(const NamedLayers &named, const ShardSet &shards) {
  std::set<std::string> texts;
  for (const NamedLayer &layer : named.layers) {
    bool isLatent = layer.layer.geometry && layer.layer.geometry->kvLoraRank;
    for (const NamedScale &scale : layer.scales) {
      std::string suffix = quoteName(scale.rule->suffix.drop_front());
      NameForm form = scale.rule->form;
      if (form == NameForm::Fused)
        texts.insert("names such as " + suffix +
                     " are dropped by SGLang and older vLLM; 'k_scale' "
                     "and 'v_scale' directly below the module are safe");
      if (isLatent && form != NameForm::Projection && form != NameForm::MlaEngine)
        texts.insert("for latent attention vLLM drops names such as " + suffix +
                     "; 'k_proj.k_scale' is safe");
      if (StringRef(layer.name).ends_with(".attn") && form == NameForm::Plain)
        texts.insert("vLLM 0.33 drops names such as 'attn" + scale.rule->suffix.str() +
                     "' below a module called 'attn'");
      // ModelOpt writes float32; compressed-tensors rounds it when it converts.
      if (form == NameForm::Projection && shards.find(scale.tensor).front().entry->dtype == "BF16")
        texts.insert("scales with names such as " + suffix +
                     " are stored as BF16: exact to 2^-9 (0.2 %) of what ModelOpt calibrated");
      if (form == NameForm::Output && facts.format != CheckpointFormat::Fp8 &&
          facts.format != CheckpointFormat::Quark)
        texts.insert("vLLM 0.33 refuses names such as " + suffix + " for this quantisation method");
    }
  }
  append_range(checkpoint.notes, texts);
}

/// What readLayer will read, in that order.
static std::vector<StoredTensor> tensorsOf(const NamedLayers &named, const ShardSet &shards) {
  std::vector<StoredTensor> tensors;
  for (const NamedLayer &layer : named.layers) {
    for (const NamedScale &scale : layer.scales)
      append_range(tensors, shards.find(scale.tensor));
    for (const std::string &zeroPoint : layer.zeroPoints)
      append_range(tensors, shards.find(zeroPoint));
  }
  return tensors;
}

Expected<Checkpoint> FolderReader::read() {
  if (Error error = listFiles())
    return error;
  if (Error error = refuseForeignFolder())
    return error;
  Expected<ModelGeometry> geometry = readConfiguration();
  if (!geometry)
    return geometry.takeError();
  checkpoint.geometryError = geometry->error;
  if (has("kv_cache_scales.json"))
    checkpoint.notes.push_back("kv_cache_scales.json is not read with the folder; name the file "
                               "itself to import it");
  Expected<ShardSet> shards = ShardSet::open(folder, fileNames, log, checkpoint.notes);
  if (!shards)
    return shards.takeError();
  Expected<NamedLayers> named = nameLayers(*geometry, *shards);
  if (!named)
    return fileError(folder, toString(named.takeError()));
  append_range(checkpoint.notes, named->notes);
  checkpoint.unused = named->unused;
  shards->prefetch(tensorsOf(*named, *shards));
  for (const NamedLayer &layer : named->layers)
    if (Error error = readLayer(layer, *shards))
      return error;
  noteNames(*named, *shards);
  noteAnnouncement(checkpoint, facts);
  noteValues(checkpoint);
  return checkpoint;
}

Expected<Checkpoint> kvq::readCheckpoint(StringRef path, const ReadOptions &options) {
  ReadLog log;
  sys::fs::file_status status;
  if (std::error_code code = sys::fs::status(path, status)) {
    if (code == std::errc::no_such_file_or_directory && path.ends_with(".json"))
      return legacyFileNotFound(path);
    return fileError(path, code.message());
  }
  std::optional<Checkpoint> checkpoint;
  if (status.type() == sys::fs::file_type::directory_file) {
    Expected<Checkpoint> read = FolderReader(path, options, log).read();
    if (!read)
      return read.takeError();
    checkpoint = std::move(*read);
  } else if (path.ends_with(".safetensors")) {
    return fileError(path, "expected the folder that holds the file and its config.json");
  } else {
    std::optional<HfConfig> config;
    if (!options.configFile.empty()) {
      Expected<HfConfig> read = readConfig(options.configFile, "config.json", log);
      if (!read)
        return read.takeError();
      config = std::move(*read);
    }
    Expected<Checkpoint> read = readLegacyJson(path, config ? &*config : nullptr, options, log);
    if (!read)
      return read.takeError();
    checkpoint = std::move(*read);
    checkpoint->sourceType = sourceTypeOf(checkpoint->dtypeText);
    noteValues(*checkpoint);
  }
  checkpoint->sha256 = log.digest();
  return std::move(*checkpoint);
}
