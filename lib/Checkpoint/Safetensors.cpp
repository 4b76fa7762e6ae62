//===- Safetensors.cpp - Headers of safetensors files ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Safetensors.h"
#include "kvq/Support/Json.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/CheckedArithmetic.h"
#include "llvm/Support/Endian.h"

using namespace llvm;
using namespace kvq;

static constexpr uint64_t maxHeaderSize = 100'000'000;
static constexpr unsigned maxDepth = 32;
static constexpr size_t maxRank = 64;

namespace {

struct Dtype {
  StringLiteral name;
  unsigned bits;
};

} // namespace

/// Null for one that the format does not have.
static const Dtype *findDtype(StringRef name) {
  static constexpr Dtype dtypes[] = {
      {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
      {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
      {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
      {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
      {"I64", 64},        {"U64", 64},
  };
  for (const Dtype &dtype : dtypes)
    if (dtype.name == name)
      return &dtype;
  return nullptr;
}

unsigned kvq::safetensorsBits(StringRef dtype) {
  const Dtype *found = findDtype(dtype);
  return found ? found->bits : 0;
}

uint64_t TensorEntry::numElements() const {
  uint64_t count = 1;
  for (uint64_t dim : shape)
    count *= dim;
  return count;
}

namespace {

/// Takes the header's events. Where it stands is one state, since the format
/// has a fixed shape; unknown fields of a tensor are skipped by depth.
class HeaderHandler : public JsonHandler {
public:
  SafetensorsHeader header;

  bool null() override {
    if (state == State::MetadataValue)
      return state = State::Top, true;
    return scalar("null");
  }
  bool boolean(bool) override { return scalar("a boolean"); }
  bool number(const JsonNumber &value) override {
    if (state != State::Shape && state != State::Offsets)
      return scalar("a number");
    if (!value.natural)
      return fail("expected an integer from 0 to 2^64 - 1 in " + quoteName(field));
    if (state == State::Offsets) {
      if (numOffsets == 2)
        return fail("expected two numbers in 'data_offsets'");
      (numOffsets++ == 0 ? tensor().begin : tensor().end) = *value.natural;
      return true;
    }
    if (shape.size() == maxRank)
      return fail("expected at most " + std::to_string(maxRank) + " dimensions");
    shape.push_back(*value.natural);
    return true;
  }
  bool string(std::string &value) override {
    if (state == State::Metadata)
      return true;
    if (state != State::Field || field != "dtype")
      return scalar("a string");
    const Dtype *known = findDtype(value);
    tensor().dtype =
        known ? StringRef(known->name) : StringRef(value).copy(header.places.getAllocator());
    state = State::Tensor;
    return true;
  }
  bool beginObject() override {
    switch (state) {
    case State::Start:
      return state = State::Top, true;
    case State::TensorValue:
      fields = 0;
      numOffsets = 0;
      shape.clear();
      unknownFields.clear();
      return state = State::Tensor, true;
    case State::MetadataValue:
      keys.clear();
      return state = State::Metadata, true;
    default:
      return nested("an object");
    }
  }
  bool key(std::string &name) override {
    switch (state) {
    case State::Top:
      return topKey(name);
    case State::Tensor:
      return tensorKey(name);
    case State::Metadata:
      if (!keys.insert(name).second)
        return fail("duplicate key " + quoteName(name) + " in '__metadata__'");
      return true;
    default:
      return true;
    }
  }
  bool endObject() override {
    switch (state) {
    case State::Skip:
      return endNested();
    case State::Metadata:
      return state = State::Top, true;
    case State::Tensor:
      state = State::Top;
      return finishTensor();
    default:
      return true;
    }
  }
  bool beginArray() override {
    if (state == State::Field && field == "shape")
      return state = State::Shape, true;
    if (state == State::Field && field == "data_offsets")
      return state = State::Offsets, true;
    return nested("an array");
  }
  bool endArray() override {
    if (state == State::Skip)
      return endNested();
    if (state == State::Offsets && numOffsets != 2)
      return fail("expected two numbers in 'data_offsets'");
    return state = State::Tensor, true;
  }

private:
  enum class State {
    Start,         // before the header's object
    Top,           // at a key of the header
    MetadataValue, // before the value of '__metadata__'
    Metadata,      // in it
    TensorValue,   // before a tensor's object
    Tensor,        // at a key of a tensor
    Field,         // before the value of a known field
    Shape,
    Offsets,
    Unknown, // before the value of an unknown field
    Skip,    // within it
  };
  enum : unsigned { DtypeField = 1, ShapeField = 2, OffsetsField = 4 };

  State state = State::Start;
  unsigned skipDepth = 0, fields = 0, numOffsets = 0;
  bool hasMetadata = false;
  std::string field;
  SmallVector<uint64_t, maxRank> shape;
  StringSet<> keys, unknownFields, notedFields;

  TensorEntry &tensor() { return header.tensors.back(); }

  /// A problem of the current tensor, or of the header where there is none.
  bool fail(std::string text) {
    problem = std::move(text);
    bool inTensor = state == State::Tensor || state == State::TensorValue ||
                    state == State::Field || state == State::Shape || state == State::Offsets;
    if (inTensor)
      problem = "tensor " + quoteName(tensor().name) + ": " + problem;
    return false;
  }

  /// A value that no state but that of an unknown field takes.
  bool scalar(const char *what) {
    if (state == State::Skip)
      return true;
    if (state == State::Unknown)
      return state = State::Tensor, true;
    return misplaced(what);
  }
  bool nested(const char *what) {
    if (state != State::Skip && state != State::Unknown)
      return misplaced(what);
    state = State::Skip;
    ++skipDepth;
    return true;
  }
  bool endNested() {
    if (--skipDepth == 0)
      state = State::Tensor;
    return true;
  }
  bool misplaced(const char *what) {
    std::string got = std::string(", but got ") + what;
    switch (state) {
    case State::Start:
      return fail("expected the header to be an object" + got);
    case State::MetadataValue:
    case State::Metadata:
      return fail("expected '__metadata__' to map strings to strings" + got);
    case State::TensorValue:
      return fail("expected an object" + got);
    case State::Shape:
    case State::Offsets:
      return fail("expected " + quoteName(field) + " to hold integers" + got);
    default:
      return fail("expected " + quoteName(field) +
                  (field == "dtype" ? " to be a string" : " to be an array") + got);
    }
  }

  bool topKey(std::string &name) {
    if (name == "__metadata__") {
      if (hasMetadata)
        return fail("duplicate key '__metadata__'");
      hasMetadata = true;
      return state = State::MetadataValue, true;
    }
    if (name.empty())
      return fail("a tensor without a name");
    auto [place, isNew] = header.places.try_emplace(name, header.tensors.size());
    if (!isNew)
      return fail("duplicate tensor " + quoteName(name));
    header.tensors.emplace_back().name = place->first();
    return state = State::TensorValue, true;
  }

  bool tensorKey(std::string &name) {
    unsigned bit = fieldBit(name);
    if (bit ? (fields & bit) != 0 : !unknownFields.insert(name).second)
      return fail("duplicate field " + quoteName(name));
    fields |= bit;
    field = name;
    state = bit ? State::Field : State::Unknown;
    if (!bit && notedFields.size() < 16 && notedFields.insert(field).second)
      header.notes.push_back("tensor " + quoteName(tensor().name) + " has the unknown field " +
                             quoteName(field));
    return true;
  }

  static unsigned fieldBit(StringRef name) {
    return llvm::StringSwitch<unsigned>(name)
        .Case("dtype", DtypeField)
        .Case("shape", ShapeField)
        .Case("data_offsets", OffsetsField)
        .Default(0);
  }

  bool finishTensor() {
    const char *missing = !(fields & DtypeField)     ? "dtype"
                          : !(fields & ShapeField)   ? "shape"
                          : !(fields & OffsetsField) ? "data_offsets"
                                                     : nullptr;
    if (!missing) {
      tensor().shape = ArrayRef<uint64_t>(shape).copy(header.places.getAllocator());
      return true;
    }
    problem = "tensor " + quoteName(tensor().name) + ": expected a field '" + missing + "'";
    return false;
  }
};

} // namespace

static Error tensorError(const TensorEntry &tensor, const Twine &text) {
  return createStringError(inconvertibleErrorCode(),
                           "tensor " + quoteName(tensor.name) + ": " + text);
}

static Error checkSize(const TensorEntry &tensor) {
  if (tensor.begin > tensor.end)
    return tensorError(tensor, "expected 'data_offsets' in order, but got [" + Twine(tensor.begin) +
                                   ", " + Twine(tensor.end) + "]");
  uint64_t bits = safetensorsBits(tensor.dtype);
  if (bits == 0)
    return Error::success();
  // Left to right, as the safetensors package does: [0, 2^32, 2^32] passes,
  // [2^32, 2^32, 0] does not.
  std::optional<uint64_t> product = 1;
  for (uint64_t dim : tensor.shape)
    if (product)
      product = checkedMulUnsigned(*product, dim);
  if (product)
    product = checkedMulUnsigned(*product, bits);
  if (!product)
    return tensorError(tensor, "the shape's size overflows 64 bits");
  if (*product % 8 != 0)
    return tensorError(tensor, "expected whole bytes, but got " + Twine(*product) + " bits of " +
                                   tensor.dtype);
  if (tensor.numBytes() != *product / 8)
    return tensorError(tensor, "expected " + Twine(*product / 8) +
                                   " bytes for its shape and dtype, but 'data_offsets' has " +
                                   Twine(tensor.numBytes()));
  return Error::success();
}

/// The tensors cover the data without a hole and without an overlap.
static Error checkLayout(ArrayRef<TensorEntry> tensors, uint64_t dataSize) {
  std::vector<const TensorEntry *> sorted;
  for (const TensorEntry &tensor : tensors)
    sorted.push_back(&tensor);
  llvm::sort(sorted, [](const TensorEntry *a, const TensorEntry *b) {
    return std::tie(a->begin, a->end, a->name) < std::tie(b->begin, b->end, b->name);
  });
  uint64_t end = 0;
  for (const TensorEntry *tensor : sorted) {
    if (tensor->begin != end)
      return tensorError(*tensor, Twine(tensor->begin > end ? "a hole" : "an overlap") +
                                      " in the data: expected the tensor to begin at " +
                                      Twine(end) + ", but got " + Twine(tensor->begin));
    end = tensor->end;
  }
  if (end != dataSize)
    return createStringError(inconvertibleErrorCode(),
                             "expected " + Twine(end) +
                                 " bytes of tensors after the header, but got " + Twine(dataSize));
  return Error::success();
}

Expected<SafetensorsHeader> kvq::parseSafetensorsHeader(StringRef json, uint64_t dataSize) {
  if (!json.starts_with("{"))
    return createStringError(inconvertibleErrorCode(), "expected the header to begin with '{'");
  HeaderHandler handler;
  // About as many as there are: an entry takes a hundred bytes of text and more.
  handler.header.tensors.reserve(json.size() / 128);
  if (Error error = readJson(json, handler, {maxDepth, /*allowNonFinite=*/false}))
    return error;
  SafetensorsHeader header = std::move(handler.header);
  std::map<std::string, std::vector<std::string>> unknown;
  for (const TensorEntry &tensor : header.tensors) {
    if (Error error = checkSize(tensor))
      return error;
    if (safetensorsBits(tensor.dtype) == 0)
      unknown[tensor.dtype.str()].push_back(tensor.name.str());
  }
  for (const auto &[dtype, names] : unknown)
    header.notes.push_back("the unknown dtype " + quoteName(dtype) + " of " + quoteNames(names, 2) +
                           "; their sizes were not checked");
  if (Error error = checkLayout(header.tensors, dataSize))
    return error;
  return header;
}

Expected<SafetensorsHeader> kvq::readSafetensorsHeader(InputFile &file) {
  if (file.size() == 0)
    return file.error("the file is empty");
  if (file.size() < 8)
    return file.error("expected at least 8 bytes, but got " + Twine(file.size()));
  char lengthBytes[8];
  if (Error error = file.read(0, lengthBytes))
    return error;
  if (StringRef(lengthBytes, 8) == "version ")
    return file.error(
        "a Git LFS pointer stands in place of the file; fetch it with 'git lfs pull'");
  uint64_t length = support::endian::read64le(lengthBytes);
  if (length > maxHeaderSize)
    return file.error("expected a header of at most " + Twine(maxHeaderSize) +
                      " bytes, but its length reads " + Twine(length));
  if (length > file.size() - 8)
    return file.error("truncated: the header's length reads " + Twine(length) +
                      ", but the file has " + Twine(file.size()) + " bytes");
  if (length < 2)
    return file.error("expected a header of at least 2 bytes, but its length reads " +
                      Twine(length));
  std::string json(length, '\0');
  if (Error error = file.read(8, MutableArrayRef<char>(json.data(), json.size())))
    return error;
  Expected<SafetensorsHeader> header = parseSafetensorsHeader(json, file.size() - 8 - length);
  if (!header)
    return file.error(toString(header.takeError()));
  if (Error error = file.checkUnchanged())
    return error;
  header->dataOffset = 8 + length;
  return header;
}
