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

/// Parses `(q = …, k = …)`. A value is a float32 number or a dense float32 tensor.
static ParseResult parseScales(OpAsmParser &parser, MutableArrayRef<Attribute> scales) {
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
    if (!isNumber) {
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
  if (parseScales(parser, scales))
    return failure();
  q = scales[0], k = scales[1], v = scales[2], prob = scales[3];
  return success();
}

static void printRawScales(OpAsmPrinter &printer, Operation *, Attribute q, Attribute k,
                           Attribute v, Attribute prob) {
  printScales(printer, {q, k, v, prob});
}

static ParseResult parseResolvedScales(OpAsmParser &parser, FloatAttr &q, Attribute &k,
                                       Attribute &v, FloatAttr &prob) {
  SMLoc loc = parser.getCurrentLocation();
  Attribute scales[4];
  if (parseScales(parser, scales))
    return failure();
  for (ScaleKind kind : {ScaleKind::Q, ScaleKind::Prob})
    if (isa_and_nonnull<ElementsAttr>(scales[unsigned(kind)]))
      return parser.emitError(loc) << "expected a resolved float32 number for '" << stringify(kind)
                                   << "', but got " << scales[unsigned(kind)];
  q = cast_or_null<FloatAttr>(scales[0]), prob = cast_or_null<FloatAttr>(scales[3]);
  k = scales[1], v = scales[2];
  return success();
}

static void printResolvedScales(OpAsmPrinter &printer, Operation *, FloatAttr q, Attribute k,
                                Attribute v, FloatAttr prob) {
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

Attribute AttentionOp::getResolvedScale(ScaleKind kind) {
  Attribute scales[] = {getResolvedQAttr(), getResolvedKAttr(), getResolvedVAttr(),
                        getResolvedProbAttr()};
  return scales[unsigned(kind)];
}

void AttentionOp::setResolvedScale(ScaleKind kind, Attribute scale) {
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
  for (ScaleKind kind : {ScaleKind::K, ScaleKind::V}) {
    auto heads = dyn_cast_or_null<DenseFPElementsAttr>(getResolvedScale(kind));
    if (!heads)
      continue;
    GeometryAttr geometry = getGeometryAttr();
    bool isCount = !geometry || heads.getNumElements() == geometry.getKvHeads();
    if (heads.getType().getRank() != 1 || !isCount)
      return emitOpError("expected a resolved '")
             << stringify(kind) << "' of one number for each KV head, but got " << heads.getType();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// ScaleOp
//===----------------------------------------------------------------------===//

Type kvq::getScaleType(Attribute scale) {
  Type number = Float32Type::get(scale.getContext());
  auto heads = dyn_cast<DenseFPElementsAttr>(scale);
  return heads ? VectorType::get(heads.getNumElements(), number) : number;
}

/// A float32 unless a type follows.
static ParseResult parseScaleType(OpAsmParser &parser, Type &type) {
  type = parser.getBuilder().getF32Type();
  return succeeded(parser.parseOptionalColon()) ? parser.parseType(type) : ParseResult::success();
}
static void printScaleType(OpAsmPrinter &printer, Operation *, Type type) {
  if (!type.isF32())
    printer << " : " << type;
}

LogicalResult ScaleOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto layer = symbols.lookupNearestSymbolFrom<AttentionOp>(*this, getLayerAttr());
  if (!layer)
    return emitOpError("expected '")
           << getLayer() << "' to name a 'kvq.attention' of the nearest symbol table";
  if (Attribute scale = layer.getResolvedScale(getKind());
      scale && getType() != getScaleType(scale))
    return emitOpError("expected the type ")
           << getScaleType(scale) << " of the resolved scale, but got " << getType();
  return success();
}

#define GET_OP_CLASSES
#include "kvq/Dialect/KvqModelOps.cpp.inc"
