//===- SafetensorsTest.cpp - What a header may not say --------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Safetensors.h"
#include "Fixture.h"
#include "llvm/ADT/StringExtras.h"

using namespace kvq;
using namespace kvq::test;

namespace {

struct HeaderCase {
  const char *name;
  std::string json;
  uint64_t dataSize;
  /// Part of the error; empty for a header that is good.
  const char *error;
};

void PrintTo(const HeaderCase &test, std::ostream *out) { *out << test.name; }

std::string tensor(const std::string &fields) { return "{\"a\":{" + fields + "}}"; }

std::string sized(const std::string &dtype, const std::string &shape, const std::string &offsets) {
  return tensor("\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets);
}

std::string two(const std::string &first, const std::string &second) {
  return "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":" + first +
         "},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":" + second + "}}";
}

std::string repeat(const std::string &text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i)
    result += text;
  return result;
}

const HeaderCase cases[] = {
    {"Empty", "{}", 0, ""},
    {"TrailingBlanks", "{} \t\r\n", 0, ""},
    {"Good", sized("F32", "[2,2]", "[0,16]"), 16, ""},
    {"Scalar", sized("BF16", "[]", "[0,2]"), 2, ""},
    {"AnyOrder", two("[2,4]", "[0,2]"), 4, ""},
    {"Metadata", R"({"__metadata__":{"format":"pt"}})", 0, ""},
    {"MetadataNull", R"({"__metadata__":null})", 0, ""},
    {"UnknownField", sized("U8", "[1]", "[0,1],\"x\":[{\"y\":[1]}]"), 1, ""},
    {"UnknownDtype", sized("F7", "[3]", "[0,1]"), 1, ""},
    {"EmptyTensorOnBoundary", sized("F32", "[0]", "[0,0]"), 0, ""},
    {"ZeroAbsorbs", sized("U8", "[0,4294967296,4294967296]", "[0,0]"), 0, ""},
    {"PackedF4", sized("F4", "[2]", "[0,1]"), 1, ""},
    {"LeadingBlank", " {}", 0, "begin with '{'"},
    {"ByteOrderMark", "\xef\xbb\xbf{}", 0, "begin with '{'"},
    {"NotAnObject", "[]", 0, "begin with '{'"},
    {"Truncated", "{\"a\":", 0, "malformed JSON"},
    {"TextBehind", "{}x", 0, "malformed JSON"},
    {"NulBehind", std::string("{}\0", 3), 0, "NUL"},
    {"Comment", "{/* */}", 0, "malformed JSON"},
    {"TrailingComma", R"({"__metadata__":{},})", 0, "malformed JSON"},
    {"ControlCharacter", "{\"a\nb\":{}}", 0, "malformed JSON"},
    {"LoneSurrogate", R"({"\ud800":{}})", 0, "malformed JSON"},
    {"NotUtf8", "{\"a\xff\":{}}", 0, "malformed JSON"},
    {"TooDeep", tensor("\"x\":" + repeat("[", 40) + repeat("]", 40)), 0, "nested deeper"},
    {"Bracketed", tensor("\"x\":" + repeat("[", 200000)), 0, "nested deeper"},
    {"DuplicateTensor",
     R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
     R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
     2, "duplicate tensor 'a'"},
    {"DuplicateMetadata", R"({"__metadata__":{},"__metadata__":{}})", 0, "duplicate key"},
    {"DuplicateMetadataKey", R"({"__metadata__":{"x":"1","x":"2"}})", 0, "duplicate key 'x'"},
    {"DuplicateField", sized("U8", "[1]", "[0,1],\"dtype\":\"U8\""), 1, "duplicate field 'dtype'"},
    {"MetadataNumber", R"({"__metadata__":{"x":1}})", 0, "strings to strings"},
    {"MetadataArray", R"({"__metadata__":[]})", 0, "strings to strings"},
    {"MissingDtype", tensor(R"("shape":[1],"data_offsets":[0,1])"), 1, "a field 'dtype'"},
    {"MissingShape", tensor(R"("dtype":"U8","data_offsets":[0,1])"), 1, "a field 'shape'"},
    {"MissingOffsets", tensor(R"("dtype":"U8","shape":[1])"), 1, "a field 'data_offsets'"},
    {"TensorAsArray", R"({"a":["U8",[1],[0,1]]})", 1, "expected an object, but got an array"},
    {"TensorAsNull", R"({"a":null})", 1, "expected an object, but got null"},
    {"EmptyName", R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "without a name"},
    {"DtypeNumber", tensor(R"("dtype":8,"shape":[1],"data_offsets":[0,1])"), 1, "to be a string"},
    {"ShapeString", sized("U8", "\"1\"", "[0,1]"), 1, "to be an array"},
    {"ShapeNested", sized("U8", "[[1]]", "[0,1]"), 1, "to hold integers"},
    {"Negative", sized("U8", "[-1]", "[0,1]"), 1, "expected an integer"},
    {"Fraction", sized("U8", "[1.0]", "[0,1]"), 1, "expected an integer"},
    {"Exponent", sized("U8", "[1e0]", "[0,1]"), 1, "expected an integer"},
    {"MinusZero", sized("U8", "[-0]", "[0,0]"), 0, "expected an integer"},
    {"LeadingZero", sized("U8", "[01]", "[0,1]"), 1, "malformed JSON"},
    {"TooLarge", sized("U8", "[18446744073709551616]", "[0,1]"), 1, "expected an integer"},
    {"NumberAsString", sized("U8", "[\"1\"]", "[0,1]"), 1, "to hold integers"},
    {"OneOffset", sized("U8", "[1]", "[0]"), 1, "two numbers"},
    {"ThreeOffsets", sized("U8", "[1]", "[0,1,1]"), 1, "two numbers"},
    {"Rank65", sized("U8", "[" + repeat("1,", 64) + "1]", "[0,1]"), 1, "64 dimensions"},
    {"LowerCaseDtypeHasNoSize", sized("f32", "[2]", "[0,4]"), 4, ""},
    {"OddBits", sized("F4", "[3]", "[0,2]"), 2, "whole bytes"},
    {"Overflow", sized("U8", "[4294967296,4294967296,0]", "[0,0]"), 0, "overflows"},
    {"OverflowOfBits", sized("F64", "[4611686018427387904]", "[0,0]"), 0, "overflows"},
    {"WrongSize", sized("F32", "[2]", "[0,4]"), 4, "expected 8 bytes"},
    {"Backwards", sized("U8", "[1]", "[1,0]"), 1, "in order"},
    {"HoleBefore", sized("U8", "[1]", "[1,2]"), 2, "a hole"},
    {"HoleBetween", two("[0,2]", "[3,5]"), 5, "a hole"},
    {"Overlap", two("[0,2]", "[1,3]"), 3, "an overlap"},
    {"SameBytes", two("[0,2]", "[0,2]"), 2, "an overlap"},
    {"FileTooLong", sized("U8", "[1]", "[0,1]"), 2, "expected 1 bytes of tensors"},
    {"FileTooShort", sized("U8", "[2]", "[0,2]"), 1, "expected 2 bytes of tensors"},
    {"EmptyTensorInside",
     R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
     R"("b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
     4, "an overlap"},
};

class HeaderRules : public testing::TestWithParam<HeaderCase> {};

} // namespace

TEST_P(HeaderRules, IsAcceptedOrRefused) {
  auto header = parseSafetensorsHeader(GetParam().json, GetParam().dataSize);
  std::string error = header ? "" : llvm::toString(header.takeError());
  if (!*GetParam().error)
    EXPECT_EQ(error, "");
  else
    EXPECT_NE(error.find(GetParam().error), std::string::npos) << "got: " << error;
  EXPECT_LT(error.size(), 1000u);
}

INSTANTIATE_TEST_SUITE_P(Safetensors, HeaderRules, testing::ValuesIn(cases),
                         [](const auto &info) { return info.param.name; });

namespace {

std::string errorOfFile(const std::string &bytes) {
  Folder folder;
  folder.write("model.safetensors", bytes);
  return errorOf(folder.str());
}

} // namespace

TEST(SafetensorsFile, RefusesImpossibleLengths) {
  EXPECT_NE(errorOfFile("").find("the file is empty"), std::string::npos);
  EXPECT_NE(errorOfFile("1234567").find("at least 8 bytes"), std::string::npos);
  EXPECT_NE(errorOfFile(lengthBytes(100'000'001)).find("at most 100000000"), std::string::npos);
  EXPECT_NE(errorOfFile(lengthBytes(~uint64_t(0))).find("at most 100000000"), std::string::npos);
  EXPECT_NE(errorOfFile(lengthBytes(3) + "{}").find("truncated"), std::string::npos);
  EXPECT_NE(errorOfFile(lengthBytes(1) + "{").find("at least 2 bytes"), std::string::npos);
  EXPECT_NE(errorOfFile("version https://git-lfs.github.com/spec/v1\noid sha256:0").find("Git LFS"),
            std::string::npos);
}

TEST(SafetensorsFile, NamesTheFileAndTheTensor) {
  Folder folder;
  folder.write("model.safetensors", rawSafetensors(sized("F32", "[2]", "[0,4]"), "1234"));
  std::string error = errorOf(folder.str());
  EXPECT_EQ(error.find(folder.pathOf("model.safetensors") + ": tensor 'a': "), 0u) << error;
}

// Every prefix of a good file is an error, never a crash or a success.
TEST(SafetensorsFile, RefusesEveryTruncation) {
  std::string bytes = safetensors({f32("model.layers.0.self_attn.k_scale", 0.5f)});
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_NE(errorOfFile(bytes.substr(0, size)), "") << size;
}

TEST(SafetensorsFile, NotesWhatItDoesNotKnow) {
  auto header =
      llvm::cantFail(parseSafetensorsHeader(sized("F7", "[3]", "[0,1],\"colour\":\"blue\""), 1));
  EXPECT_TRUE(contains(header.notes, "unknown dtype 'F7'"));
  EXPECT_TRUE(contains(header.notes, "unknown field 'colour'"));
}
