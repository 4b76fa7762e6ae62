//===- Attrs.cpp - Attributes of the kvq dialect --------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/Kvq.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace kvq;

#define GET_ATTRDEF_CLASSES
#include "kvq/Dialect/KvqAttrs.cpp.inc"

void KvqDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "kvq/Dialect/KvqAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

std::optional<Fp8Format> kvq::getFp8Format(Type type) {
  return llvm::TypeSwitch<Type, std::optional<Fp8Format>>(type)
      .Case<Float8E4M3FNType>([](Type) { return Fp8Format::E4M3FN; })
      .Case<Float8E4M3FNUZType>([](Type) { return Fp8Format::E4M3FNUZ; })
      .Case<Float8E5M2Type>([](Type) { return Fp8Format::E5M2; })
      .Case<Float8E5M2FNUZType>([](Type) { return Fp8Format::E5M2FNUZ; })
      .Default([](Type) { return std::nullopt; });
}

FloatType kvq::getType(MLIRContext *context, Fp8Format format) {
  switch (format) {
  case Fp8Format::E4M3FN:
    return Float8E4M3FNType::get(context);
  case Fp8Format::E4M3FNUZ:
    return Float8E4M3FNUZType::get(context);
  case Fp8Format::E5M2:
    return Float8E5M2Type::get(context);
  case Fp8Format::E5M2FNUZ:
    return Float8E5M2FNUZType::get(context);
  }
  llvm_unreachable("all FP8 formats are above");
}

FloatType kvq::getType(MLIRContext *context, SourceType source) {
  switch (source) {
  case SourceType::BF16:
    return BFloat16Type::get(context);
  case SourceType::F16:
    return Float16Type::get(context);
  case SourceType::F32:
    return Float32Type::get(context);
  }
  llvm_unreachable("all source types are above");
}

std::optional<SourceType> kvq::getSourceType(Type type) {
  if (type.isBF16())
    return SourceType::BF16;
  if (type.isF16())
    return SourceType::F16;
  if (type.isF32())
    return SourceType::F32;
  return std::nullopt;
}

bool kvq::isRawScale(Attribute attr) {
  if (auto number = dyn_cast<FloatAttr>(attr))
    return number.getType().isF32();
  auto tensor = dyn_cast<DenseFPElementsAttr>(attr);
  return tensor && tensor.getElementType().isF32() && tensor.getNumElements() > 0;
}

SmallVector<float> kvq::getScaleNumbers(Attribute scale) {
  if (auto number = dyn_cast<FloatAttr>(scale))
    return {number.getValue().convertToFloat()};
  auto values = cast<DenseFPElementsAttr>(scale).getValues<float>();
  return SmallVector<float>(values.begin(), values.end());
}

//===----------------------------------------------------------------------===//
// TargetAttr, GeometryAttr, CacheAttr
//===----------------------------------------------------------------------===//

LogicalResult TargetAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringRef chip,
                                 bool fnuz) {
  llvm::Expected<const ChipInfo *> info = lookUpChip(chip);
  if (!info)
    return emitError() << llvm::toString(info.takeError());
  if ((*info)->backend != Backend::Host && fnuz != (*info)->fnuz)
    return emitError() << "expected 'fnuz = " << ((*info)->fnuz ? "true" : "false")
                       << "' for chip '" << chip
                       << "'; only the host's kernels can be of either kind";
  return success();
}

const ChipInfo &TargetAttr::getChipInfo() const { return *findChip(getChip()); }

LogicalResult kvq::verifySize(function_ref<InFlightDiagnostic()> emitError, StringRef name,
                              int64_t value, int64_t least) {
  constexpr int64_t most = int64_t(1) << 20;
  if (value >= least && value <= most)
    return success();
  return emitError() << "expected '" << name << "' from " << least << " to " << most << ", but got "
                     << value;
}

LogicalResult GeometryAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t heads,
                                   int64_t kvHeads, int64_t headSize, int64_t kvLoraRank,
                                   int64_t qkRopeHeadDim) {
  if (failed(verifySize(emitError, "heads", heads)) ||
      failed(verifySize(emitError, "kv_heads", kvHeads)) ||
      failed(verifySize(emitError, "head_size", headSize)) ||
      failed(verifySize(emitError, "kv_lora_rank", kvLoraRank, 0)) ||
      failed(verifySize(emitError, "qk_rope_head_dim", qkRopeHeadDim, 0)))
    return failure();
  if (heads % kvHeads != 0)
    return emitError() << "expected 'kv_heads' to divide 'heads', but got " << kvHeads << " and "
                       << heads;
  if (kvLoraRank == 0 && qkRopeHeadDim == 0)
    return success();
  if (kvLoraRank == 0 || kvHeads != 1 || headSize != kvLoraRank + qkRopeHeadDim)
    return emitError() << "expected one KV head of kv_lora_rank + qk_rope_head_dim elements, but "
                          "got "
                       << kvHeads << " of " << headSize;
  return success();
}

LogicalResult CacheAttr::verify(function_ref<InFlightDiagnostic()> emitError, LayoutAttr layout,
                                Type element, int64_t blockSize, int64_t kvHeads, int64_t headSize,
                                int64_t kvLoraRank, int64_t align) {
  if (!kvq::getFp8Format(element) && !getSourceType(element))
    return emitError() << "expected 'element' to be one of " << listNames<Fp8Format>() << ", "
                       << listNames<SourceType>() << ", but got " << element;
  if (failed(verifySize(emitError, "block_size", blockSize)) ||
      failed(verifySize(emitError, "kv_heads", kvHeads)) ||
      failed(verifySize(emitError, "head_size", headSize)))
    return failure();
  if (align < 1 || align > 32 || !llvm::isPowerOf2_64(align))
    return emitError() << "expected 'align' to be 1, 2, 4, 8, 16 or 32 bytes, but got " << align;
  return detail::verifyLayout(emitError, layout, element, blockSize, kvHeads, headSize, kvLoraRank);
}

CacheAttr CacheAttr::withElement(Type element) const {
  return get(getContext(), getLayout(), element, getBlockSize(), getKvHeads(), getHeadSize(),
             getKvLoraRank(), getAlign());
}

std::optional<Fp8Format> CacheAttr::getFp8Format() const { return kvq::getFp8Format(getElement()); }

//===----------------------------------------------------------------------===//
// ArithmeticAttr
//===----------------------------------------------------------------------===//

/// How many constants an arithmetic has.
static unsigned numConstants(Method method) {
  switch (method) {
  case Method::None:
  case Method::Argument:
    return 0;
  case Method::Multiply:
  case Method::MultiplyPacked:
  case Method::Divide:
    return 1;
  case Method::TwoStep:
    return 2;
  }
  return 0;
}

Attribute ArithmeticAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  FailureOr<Method> method = parseName<Method>(parser);
  if (failed(method))
    return {};
  APFloat constants[] = {APFloat(1.0f), APFloat(0.0f)};
  unsigned count = numConstants(*method);
  if (count && parser.parseLParen())
    return {};
  for (unsigned i = 0; i < count; ++i)
    if ((i && parser.parseComma()) || parser.parseFloat(APFloat::IEEEsingle(), constants[i]))
      return {};
  if (count && parser.parseRParen())
    return {};
  SourceType in = SourceType::F32;
  const bool isPacked = *method == Method::MultiplyPacked;
  if (isPacked && parser.parseKeyword("in"))
    return {};
  if (isPacked || (*method == Method::None && succeeded(parser.parseOptionalKeyword("in")))) {
    llvm::SMLoc loc = parser.getCurrentLocation();
    FailureOr<SourceType> type = parseName<SourceType>(parser);
    if (failed(type))
      return {};
    if ((in = *type) == SourceType::F32) {
      parser.emitError(loc, "expected 'f16' or 'bf16', but got 'f32'");
      return {};
    }
  }
  bool truncates = succeeded(parser.parseOptionalKeyword("truncated"));
  uint64_t tried = 0;
  bool bySwitchPoints = false;
  if (parser.parseComma() || parser.parseKeyword("tried") || parser.parseInteger(tried))
    return {};
  if (succeeded(parser.parseOptionalKeyword("by"))) {
    if (parser.parseKeyword("switch_points"))
      return {};
    bySwitchPoints = true;
  }
  if (parser.parseGreater())
    return {};
  return get(parser.getContext(), *method, constants[0], constants[1], in, truncates, tried,
             bySwitchPoints);
}

void ArithmeticAttr::print(AsmPrinter &printer) const {
  printer << "<" << stringify(getMethod());
  if (unsigned count = numConstants(getMethod())) {
    printer << "(";
    printer.printFloat(getA());
    if (count == 2) {
      printer << ", ";
      printer.printFloat(getB());
    }
    printer << ")";
  }
  if (getIn() != SourceType::F32)
    printer << " in " << stringify(getIn());
  if (getTruncates())
    printer << " truncated";
  printer << ", tried " << getTried();
  if (getBySwitchPoints())
    printer << " by switch_points";
  printer << ">";
}
