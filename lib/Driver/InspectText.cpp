//===- InspectText.cpp - Inspections as JSON and as a table ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Table.h"
#include "kvq/Artefact/JsonText.h"
#include "kvq/Driver/Inspect.h"
#include "kvq/Support/Float32Text.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <nlohmann/json.hpp>

using namespace kvq;
using Json = nlohmann::ordered_json;

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static Json scaleJson(const std::optional<InspectedScale> &scale) {
  if (!scale)
    return {};
  if (scale->hasSeveral) {
    Json json;
    json["shape"] = scale->shape;
    return json;
  }
  return toJson(scale->value);
}

static Json layerJson(const InspectedLayer &layer) {
  Json json;
  json["name"] = layer.name;
  json["index"] = layer.index;
  for (ScaleKind kind : allValues<ScaleKind>())
    json["checkpoint"][stringify(kind).str()] = scaleJson(layer.checkpoint[unsigned(kind)]);
  if (layer.error)
    json["error"] = *layer.error;
  else
    for (ScaleKind kind : allValues<ScaleKind>())
      json["resolved"][stringify(kind).str()] = layer.resolvedHeads[unsigned(kind)].empty()
                                                    ? toJson(layer.resolved[unsigned(kind)])
                                                    : toJson(layer.resolvedHeads[unsigned(kind)]);
  json["calculate_kv_scales"] = layer.calculateKVScales;
  json["warnings"] = layer.warnings;
  json["notes"] = layer.notes;
  return json;
}

std::string kvq::toJsonText(const Inspection &inspection) {
  Json json;
  json["schema"] = "kvq.inspect/1";
  json["format"] = inspection.origin.format;
  json["target"] = inspection.target.chip->name.str();
  json["fnuz"] = inspection.target.fnuz;
  json["kv_cache_dtype"] = inspection.dtype ? Json(stringify(*inspection.dtype).str()) : Json();
  json["cache_type"] = inspection.cacheType ? Json(*inspection.cacheType) : Json();
  json["warnings"] = inspection.warnings.getTexts();
  json["notes"] = inspection.notes.getTexts();
  json["unused"] = inspection.origin.unused;
  json["layers"] = Json::array();
  for (const InspectedLayer &layer : inspection.layers)
    json["layers"].push_back(layerJson(layer));
  return toJsonText(json);
}

//===----------------------------------------------------------------------===//
// Table
//===----------------------------------------------------------------------===//

static std::string cell(const std::optional<InspectedScale> &scale) {
  if (!scale)
    return "-";
  if (!scale->hasSeveral)
    return formatFloat32(scale->value);
  std::string text;
  for (int64_t dim : scale->shape)
    text += (text.empty() ? "[" : ", ") + std::to_string(dim);
  return text + "]";
}

/// What a layer's resolved scale is in the table.
static std::string resolvedCell(const InspectedLayer &layer, ScaleKind kind) {
  if (layer.error)
    return "error";
  if (layer.calculateKVScales && (kind == ScaleKind::K || kind == ScaleKind::V))
    return "calculated";
  const std::vector<float> &heads = layer.resolvedHeads[unsigned(kind)];
  if (heads.empty())
    return formatFloat32(layer.resolved[unsigned(kind)]);
  auto [least, most] = std::minmax_element(heads.begin(), heads.end());
  return "[" + std::to_string(heads.size()) + "] " + formatFloat32(*least) + " to " +
         formatFloat32(*most);
}

static void appendList(llvm::StringRef title, const std::vector<std::string> &lines,
                       llvm::raw_ostream &os) {
  if (lines.empty())
    return;
  os << '\n' << title << ":\n";
  for (const std::string &line : lines)
    os << "  " << line << '\n';
}

std::string kvq::toTableText(const Inspection &inspection) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "format " << inspection.origin.format << ", target " << inspection.target.chip->name;
  if (inspection.target.fnuz)
    os << " (fnuz)";
  os << ", kv_cache_dtype "
     << (inspection.dtype ? stringify(*inspection.dtype) : llvm::StringRef("mixed"))
     << ", cache type " << inspection.cacheType.value_or("not known") << "\n\n";

  std::vector<std::vector<std::string>> rows;
  rows.push_back({"", "", "checkpoint", "", "", "", "resolved", "", "", ""});
  rows.push_back({"index", "layer", "q", "k", "v", "prob", "q", "k", "v", "prob"});
  for (const InspectedLayer &layer : inspection.layers) {
    std::vector<std::string> row{std::to_string(layer.index), escapeText(layer.name)};
    for (ScaleKind kind : allValues<ScaleKind>())
      row.push_back(cell(layer.checkpoint[unsigned(kind)]));
    for (ScaleKind kind : allValues<ScaleKind>())
      row.push_back(resolvedCell(layer, kind));
    rows.push_back(std::move(row));
  }
  appendRows(rows, os);

  appendList("notes", inspection.notes.describe(), os);
  std::vector<std::string> unused;
  for (const std::string &name : inspection.origin.unused)
    unused.push_back(escapeText(name));
  appendList("tensors that look like scales and reached no layer", unused, os);
  return text;
}
