//===- ModelOps.cpp - Ops that describe a model ---------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/Kvq.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace kvq;

//===----------------------------------------------------------------------===//
// Scales in assembly
//===----------------------------------------------------------------------===//

/// Parses `(q = …, k = …)`. A value is a float32 number or, where
/// `allowTensors`, a dense float32 tensor.
static ParseResult parseScales(OpAsmParser &parser, bool allowTensors,
                               MutableArrayRef<Attribute> scales) {
  Builder &builder = parser.getBuilder();
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, [&]() -> ParseResult {
    SMLoc loc = parser.getCurrentLocation();
    FailureOr<ScaleKind> kind = parseName<ScaleKind>(parser);
    if (failed(kind) || parser.parseEqual())
      return failure();
    Attribute &scale = scales[unsigned(*kind)];
    if (scale)
      return parser.emitError(loc)
             << "expected one scale '" << stringify(*kind) << "', but got two";
    // Numbers may be hexadecimal bit patterns, which as attributes would be
    // integers; so they are told apart by what they start with.
    bool isNumber = !llvm::isAlpha(*parser.getCurrentLocation().getPointer());
    if (allowTensors && !isNumber) {
      if (parser.parseAttribute(scale))
        return failure();
      if (isRawScale(scale))
        return success();
      return parser.emitError(loc) << "expected a float32 number or a dense float32 tensor for '"
                                   << stringify(*kind) << "', but got " << scale;
    }
    APFloat value(APFloat::IEEEsingle());
    if (parser.parseFloat(APFloat::IEEEsingle(), value))
      return failure();
    scale = builder.getFloatAttr(builder.getF32Type(), value);
    return success();
  });
}

/// Prints what parseScales parses.
static void printScales(OpAsmPrinter &printer, ArrayRef<Attribute> scales) {
  printer << "(";
  bool first = true;
  for (ScaleKind kind : allValues<ScaleKind>()) {
    Attribute scale = scales[unsigned(kind)];
    if (!scale)
      continue;
    printer << (first ? "" : ", ") << stringify(kind) << " = ";
    first = false;
    if (auto number = dyn_cast<FloatAttr>(scale))
      printer.printFloat(number.getValue());
    else
      printer.printAttribute(scale);
  }
  printer << ")";
}

static ParseResult parseRawScales(OpAsmParser &parser, Attribute &q, Attribute &k, Attribute &v,
                                  Attribute &prob) {
  Attribute scales[4];
  if (parseScales(parser, /*allowTensors=*/true, scales))
    return failure();
  q = scales[0], k = scales[1], v = scales[2], prob = scales[3];
  return success();
}

static void printRawScales(OpAsmPrinter &printer, Operation *, Attribute q, Attribute k,
                           Attribute v, Attribute prob) {
  printScales(printer, {q, k, v, prob});
}

static ParseResult parseResolvedScales(OpAsmParser &parser, FloatAttr &q, FloatAttr &k,
                                       FloatAttr &v, FloatAttr &prob) {
  Attribute scales[4];
  if (parseScales(parser, /*allowTensors=*/false, scales))
    return failure();
  q = cast_or_null<FloatAttr>(scales[0]), k = cast_or_null<FloatAttr>(scales[1]);
  v = cast_or_null<FloatAttr>(scales[2]), prob = cast_or_null<FloatAttr>(scales[3]);
  return success();
}

static void printResolvedScales(OpAsmPrinter &printer, Operation *, FloatAttr q, FloatAttr k,
                                FloatAttr v, FloatAttr prob) {
  printScales(printer, {q, k, v, prob});
}

//===----------------------------------------------------------------------===//
// AttentionOp
//===----------------------------------------------------------------------===//

Attribute AttentionOp::getRawScale(ScaleKind kind) {
  Attribute scales[] = {getRawQAttr(), getRawKAttr(), getRawVAttr(), getRawProbAttr()};
  return scales[unsigned(kind)];
}

void AttentionOp::setRawScale(ScaleKind kind, Attribute scale) {
  StringAttr names[] = {getRawQAttrName(), getRawKAttrName(), getRawVAttrName(),
                        getRawProbAttrName()};
  (*this)->setAttr(names[unsigned(kind)], scale);
}

FloatAttr AttentionOp::getResolvedScale(ScaleKind kind) {
  FloatAttr scales[] = {getResolvedQAttr(), getResolvedKAttr(), getResolvedVAttr(),
                        getResolvedProbAttr()};
  return scales[unsigned(kind)];
}

void AttentionOp::setResolvedScale(ScaleKind kind, FloatAttr scale) {
  StringAttr names[] = {getResolvedQAttrName(), getResolvedKAttrName(), getResolvedVAttrName(),
                        getResolvedProbAttrName()};
  (*this)->setAttr(names[unsigned(kind)], scale);
}

LogicalResult AttentionOp::verify() {
  if (std::optional<Type> source = getSourceType(); source && !kvq::getSourceType(*source))
    return emitOpError("expected the source type to be one of ")
           << listNames<SourceType>() << ", but got " << *source;
  unsigned numResolved = llvm::count_if(
      allValues<ScaleKind>(), [&](ScaleKind kind) { return bool(getResolvedScale(kind)); });
  if (numResolved != 0 && numResolved != allValues<ScaleKind>().size())
    return emitOpError("expected all of ")
           << listNames<ScaleKind>() << " to be resolved or none, but got " << numResolved;
  return success();
}

//===----------------------------------------------------------------------===//
// ScaleOp
//===----------------------------------------------------------------------===//

LogicalResult ScaleOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (symbols.lookupNearestSymbolFrom<AttentionOp>(*this, getLayerAttr()))
    return success();
  return emitOpError("expected '")
         << getLayer() << "' to name a 'kvq.attention' of the nearest symbol table";
}

#define GET_OP_CLASSES
#include "kvq/Dialect/KvqModelOps.cpp.inc"
