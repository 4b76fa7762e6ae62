//===- Diagnostics.cpp - MLIR's diagnostics as one-line errors ------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Diagnostics.h"
#include "kvq/Support/Quote.h"

using namespace mlir;
using namespace kvq;

/// The file of a location, with line and column where it has them; empty if the
/// location has none.
static std::string describePlace(Location location) {
  std::string place;
  location->walk([&](Location part) {
    auto file = dyn_cast<FileLineColLoc>(part);
    if (!file)
      return WalkResult::advance();
    place = escapeText(file.getFilename().getValue());
    if (file.getLine())
      place += ":" + std::to_string(file.getLine()) + ":" + std::to_string(file.getColumn());
    return WalkResult::interrupt();
  });
  return place;
}

/// "FILE: LAYER: text" on one line; what is not known is left out.
static llvm::Error describeError(Location location, StringRef layer, const Twine &text) {
  std::string message = describePlace(location);
  for (const std::string &part : {escapeText(layer), escapeText(text.str())}) {
    if (!message.empty() && !part.empty())
      message += ": ";
    message += part;
  }
  return llvm::createStringError(message);
}

llvm::Error kvq::layerError(AttentionOp layer, const Twine &text) {
  return describeError(layer.getLoc(), layer.getSymName(), text);
}

llvm::Error kvq::moduleError(ModuleOp module, const Twine &text) {
  return describeError(module.getLoc(), "", text);
}

DiagnosticCollector::DiagnosticCollector(MLIRContext &context)
    : handler(&context, [this](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error && !first) {
          std::string text = diagnostic.str();
          // What else there is to say at the same place, but for upstream's dump of
          // the operation.
          for (Diagnostic &note : diagnostic.getNotes())
            if (std::string more = note.str();
                note.getLocation() == diagnostic.getLocation() &&
                !StringRef(more).starts_with("see current operation"))
              text += "; " + more;
          std::replace(text.begin(), text.end(), '\n', ' ');
          first.emplace(diagnostic.getLocation(), text);
        }
        return success();
      }) {}

llvm::Error DiagnosticCollector::takeError(ModuleOp module, const Twine &fallback) {
  if (!first)
    return llvm::createStringError(fallback);
  auto [location, text] = std::move(*first);
  first.reset();
  if (module)
    for (auto layer : module.getOps<AttentionOp>())
      if (layer.getLoc() == location)
        return describeError(location, layer.getSymName(), text);
  return describeError(location, "", text);
}

void TextList::add(StringRef layer, StringRef text) {
  if (!known.insert(text).second)
    return;
  texts.push_back(text.str());
  layers.push_back(layer.str());
}

std::vector<std::string> TextList::describe() const {
  std::vector<std::string> lines;
  for (auto [layer, text] : llvm::zip_equal(layers, texts))
    lines.push_back(escapeText(layer.empty() ? text : layer + ": " + text));
  return lines;
}
