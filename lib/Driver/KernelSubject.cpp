//===- KernelSubject.cpp - What a host kernel is tested on ----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelSubject.h"
#include "kvq/Driver/Modules.h"
#include "kvq/Support/Quote.h"
#include "mlir/AsmParser/AsmParser.h"

using namespace mlir;
using namespace kvq;

/// The layout of a name or of maps; null where the text is neither.
static LayoutAttr readLayout(StringRef text, MLIRContext &context) {
  if (std::optional<LayoutKind> kind = symbolize<LayoutKind>(text))
    return LayoutAttr::get(&context, *kind);
  if (llvm::Error error = checkDepth(text, "")) {
    llvm::consumeError(std::move(error));
    return {};
  }
  std::string source;
  if (StringRef maps = text; maps.consume_front("key = ")) {
    auto [key, value] = maps.split(", value = ");
    source = ("key = affine_map<" + key + ">, value = affine_map<" + value + ">").str();
  } else {
    source = ("affine_map<" + text + ">").str();
  }
  auto layout =
      dyn_cast_or_null<LayoutAttr>(parseAttribute("#kvq.layout<" + source + ">", &context));
  // What else stood in the text does not come back.
  return layout && layout.getText() == text ? layout : LayoutAttr();
}

std::optional<KernelSubject> kvq::readSubject(const ManifestKernel &kernel, MLIRContext &context,
                                              std::string &notRun) {
  // Its messages are of no use: there is no file to point at.
  ScopedDiagnosticHandler silence(&context, [](Diagnostic &) { return success(); });
  std::optional<CacheOpKind> op = symbolize<CacheOpKind>(kernel.op);
  LayoutAttr layout = readLayout(kernel.layout, context);
  std::optional<SourceType> source = symbolize<SourceType>(kernel.sourceType);
  std::optional<Fp8Format> format = symbolize<Fp8Format>(kernel.cacheType);
  if (!op) {
    notRun = "the reference has no answer for " + quoteName(kernel.op);
    return std::nullopt;
  }
  if (!layout) {
    notRun = "the layout " + quoteName(kernel.layout) + " is not known here";
    return std::nullopt;
  }
  if (!source || (!format && kernel.cacheType != kernel.sourceType)) {
    notRun = "its types are not known here";
    return std::nullopt;
  }
  // No product of sizes up to the manifest's limits overflows.
  int64_t row = kernel.numKVHeads * kernel.headSize;
  if (row > kMaxTestElements || row * kernel.blockSize > kMaxTestElements) {
    notRun = "its blocks are too large for a test";
    return std::nullopt;
  }
  Type element = format ? Type(getType(&context, *format)) : Type(getType(&context, *source));
  auto emitError = [&] { return mlir::emitError(UnknownLoc::get(&context)); };
  auto cache = CacheAttr::getChecked(emitError, &context, layout, element, kernel.blockSize,
                                     kernel.numKVHeads, kernel.headSize, kernel.kvLoraRank,
                                     CacheAttr::usualAlign);
  if (!cache) {
    notRun = "its geometry does not fit its layout";
    return std::nullopt;
  }
  return KernelSubject{*op, *source, cache};
}

int64_t kvq::countTestValues(unsigned bytes) {
  return bytes == 1 ? 256 : bytes == 2 ? 65536 : 2 * 65536;
}

uint64_t kvq::testValueAt(uint64_t count, unsigned bytes) {
  uint64_t mixed = count * 40503 + 77;
  if (bytes == 1)
    return (count * 101 + 7) & 0xff;
  if (bytes == 2)
    return mixed & 0xffff;
  if (count % 131072 < 65536)
    return (mixed & 0xffff) << 16;
  return (count * 0x9e3779b97f4a7c15) >> 32;
}
