//===- Transcode.cpp - Codes of a format's partner ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fp8Lowering.h"
#include "kvq/Numerics/Formats.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace kvq;

namespace {

/// Arithmetic on four codes in a 32-bit word at a time.
class PackedCodes {
public:
  PackedCodes(ImplicitLocOpBuilder &builder, Value words)
      : builder(builder), type(cast<VectorType>(words.getType())), words(words),
        magnitudes(bitAnd(words, splat(0x7f))), signs(bitAnd(words, splat(0x80))) {}

  /// A word with `byte` four times.
  Value splat(uint8_t byte) {
    llvm::APInt word(32, byte * 0x01010101u);
    return arith::ConstantOp::create(builder, DenseElementsAttr::get(type, word));
  }
  Value bitAnd(Value a, Value b) { return arith::AndIOp::create(builder, a, b); }
  Value bitOr(Value a, Value b) { return arith::OrIOp::create(builder, a, b); }
  Value bitXor(Value a, Value b) { return arith::XOrIOp::create(builder, a, b); }

  /// All bits of the bytes whose magnitude is `least` or more. No sum carries
  /// into the next byte.
  Value isAtLeast(uint8_t least) {
    return spread(
        bitAnd(arith::AddIOp::create(builder, magnitudes, splat(0x80 - least)), splat(0x80)));
  }
  /// All bits of the bytes 0x80.
  Value isSignedZero() {
    Value isNonzero = arith::AddIOp::create(builder, magnitudes, splat(0x7f));
    return spread(bitAnd(signs, bitXor(isNonzero, splat(0xff))));
  }
  /// `yes` in the bytes of `mask`, else what was there.
  void replace(Value mask, Value yes) {
    words = bitOr(bitAnd(mask, yes), bitAnd(bitXor(mask, splat(0xff)), words));
  }
  /// A magnitude with the signs that the codes had.
  Value withSigns(uint8_t magnitude) { return bitOr(signs, splat(magnitude)); }

  Value getWords() { return words; }

private:
  /// The first bit of each byte in all of its bits.
  Value spread(Value firstBits) {
    Value seven =
        arith::ConstantOp::create(builder, DenseElementsAttr::get(type, llvm::APInt(32, 7)));
    Value ones = arith::ShRUIOp::create(builder, firstBits, seven);
    return bitOr(firstBits, arith::SubIOp::create(builder, firstBits, ones));
  }

  ImplicitLocOpBuilder &builder;
  VectorType type;
  Value words, magnitudes, signs;
};

} // namespace

/// What differs between the partners, beyond the one bit of the scale.
static void replaceCodes(PackedCodes &codes, const Fp8Info &from, const Fp8Info &to) {
  if (from.isFnuz()) {
    Value isNaN = codes.isSignedZero();
    codes.replace(codes.isAtLeast(to.maxFiniteCode + 1), codes.withSigns(to.maxFiniteCode));
    codes.replace(isNaN, codes.splat(to.nanCode));
    return;
  }
  uint8_t firstNaN = from.maxFiniteCode + 1;
  codes.replace(codes.isSignedZero(), codes.splat(0));
  if (from.hasInfinity)
    codes.replace(codes.isAtLeast(firstNaN++), codes.withSigns(to.maxFiniteCode));
  codes.replace(codes.isAtLeast(firstNaN), codes.splat(to.nanCode));
}

Value kvq::transcode(ImplicitLocOpBuilder &builder, Value codes, Fp8Format from, Fp8Format to) {
  constexpr int64_t perWord = 4;
  auto type = cast<VectorType>(codes.getType());
  int64_t count = type.getNumElements(), numWords = llvm::divideCeil(count, perWord);
  auto padded = VectorType::get({numWords * perWord}, builder.getI8Type());
  if (count != padded.getNumElements()) {
    Value zeros = arith::ConstantOp::create(builder, builder.getZeroAttr(padded));
    codes = vector::InsertStridedSliceOp::create(builder, codes, zeros, ArrayRef<int64_t>{0},
                                                 ArrayRef<int64_t>{1});
  }
  PackedCodes packed(
      builder,
      vector::BitCastOp::create(builder, VectorType::get({numWords}, builder.getI32Type()), codes));
  replaceCodes(packed, getInfo(from), getInfo(to));
  Value bytes = vector::BitCastOp::create(builder, padded, packed.getWords());
  if (count == padded.getNumElements())
    return bytes;
  return vector::ExtractStridedSliceOp::create(builder, bytes, ArrayRef<int64_t>{0},
                                               ArrayRef<int64_t>{count}, ArrayRef<int64_t>{1});
}
