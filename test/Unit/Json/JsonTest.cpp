//===- JsonTest.cpp - Strict JSON -----------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Json/Json.h"
#include "kvq/Json/Quote.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace kvq;

static std::string errorOf(std::string_view text, const JsonOptions &options = {}) {
  Result<JsonValue> value = parseJsonText(text, options);
  return value ? "" : value.error();
}

TEST(Json, KeepsHowNumbersWereWritten) {
  JsonValue value = *parseJsonText("[7, 7.0, -0, -7, 18446744073709551615, 1e3]");
  ASSERT_EQ(value.elements.size(), 6u);
  EXPECT_EQ(value.elements[0].number.natural, 7u);
  EXPECT_FALSE(value.elements[1].number.natural);
  EXPECT_FALSE(value.elements[2].number.natural);
  EXPECT_EQ(value.elements[3].number.value, -7.0);
  EXPECT_EQ(value.elements[4].number.natural, 18446744073709551615u);
  EXPECT_EQ(value.elements[5].number.value, 1000.0);
}

TEST(Json, RoundsOnceToFloat32) {
  // The decimal lies beside the middle of two float32, on which its double lies.
  JsonValue value = *parseJsonText("[7.038531e-26, 0.1, 16777217, -3, 1e300, 1e-300]");
  EXPECT_EQ(value.elements[0].number.single, 7.038531e-26f);
  EXPECT_NE(value.elements[0].number.single, float(7.038531e-26));
  EXPECT_EQ(value.elements[1].number.single, 0.1f);
  EXPECT_EQ(value.elements[2].number.single, 16777216.0f);
  EXPECT_EQ(value.elements[3].number.single, -3.0f);
  EXPECT_EQ(value.elements[4].number.single, INFINITY);
  EXPECT_EQ(value.elements[5].number.single, 0.0f);
}

TEST(Json, KeepsTheOrderOfMembers) {
  JsonValue value = *parseJsonText(R"({"b": null, "a": {"c": "x"}})");
  EXPECT_EQ(value.members[0].first, "b");
  EXPECT_TRUE(value.find("b")->isNull());
  EXPECT_EQ(value.findValue("b"), nullptr);
  EXPECT_EQ(value.find("a")->findString("c"), "x");
  EXPECT_EQ(value.find("d"), nullptr);
}

TEST(Json, RefusesWhatIsNotRfc8259) {
  for (const char *text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "{,}",
                           "{\"a\":1,}",
                           "// x\n1",
                           "'a'",
                           "01",
                           "+1",
                           "1.",
                           ".5",
                           "NaN",
                           "Infinity",
                           "\"\\ud800\"",
                           "\"\t\"",
                           "1 2",
                           "\"\xff\"",
                           "\xef\xbb\xbf{}",
                           "1e999",
                           "tru"})
    EXPECT_NE(errorOf(text).find("malformed JSON"), std::string::npos) << text;
  EXPECT_NE(errorOf(std::string_view("{}\0", 3)).find("NUL"), std::string::npos);
}

TEST(Json, RefusesDuplicateKeysAtAnyDepth) {
  EXPECT_NE(errorOf(R"({"a":[{"b":1,"b":2}]})").find("duplicate key 'b' at byte"),
            std::string::npos);
  EXPECT_EQ(errorOf(R"({"a":{"a":1},"b":{"a":1}})"), "");
}

TEST(Json, BoundsTheDepth) {
  EXPECT_EQ(errorOf(std::string(64, '[') + std::string(64, ']')), "");
  EXPECT_NE(errorOf(std::string(65, '[') + std::string(65, ']')).find("deeper than 64"),
            std::string::npos);
  EXPECT_NE(errorOf(std::string(200000, '[')).find("deeper than 64"), std::string::npos);
}

TEST(Json, ReadsPythonsLiteralsWhereAllowed) {
  JsonOptions options;
  options.allowNonFinite = true;
  JsonValue value =
      *parseJsonText(R"([NaN, Infinity, -Infinity, "NaN", 0.5, {"Infinity": -0.5}])", options);
  EXPECT_TRUE(std::isnan(value.elements[0].number.value));
  EXPECT_EQ(value.elements[1].number.value, INFINITY);
  EXPECT_EQ(value.elements[2].number.value, -INFINITY);
  EXPECT_EQ(value.elements[3].string, "NaN");
  EXPECT_EQ(value.elements[4].number.value, 0.5);
  EXPECT_EQ(value.elements[5].find("Infinity")->number.value, -0.5);
  EXPECT_TRUE(std::isnan(parseJsonText("NaN", options)->number.value));
  EXPECT_NE(errorOf("[NaNNaN]", options), "");
  EXPECT_NE(errorOf("[-NaN]", options), "");
}

TEST(Quote, StaysOneReadableLine) {
  EXPECT_EQ(quoteName("a.b"), "'a.b'");
  EXPECT_EQ(quoteName("a\nb"), "'a\\x0ab'");
  EXPECT_EQ(quoteName("\xff"), "'\\xff'");
  EXPECT_EQ(quoteName("\xc3\xa9"), "'\xc3\xa9'");
  EXPECT_LT(quoteName(std::string(1000000, 'x')).size(), 300u);
}

TEST(Quote, KnowsUtf8) {
  for (std::string_view text :
       {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(isUtf8(text)) << quoteName(text);
  // Lone and missing continuations, overlong forms, surrogates, beyond U+10FFFF.
  for (std::string_view text : {"\x80", "\xc2", "\xc2\x41", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
                                "\xe2\x82", "\xe2\x82\x41", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"})
    EXPECT_FALSE(isUtf8(text)) << quoteName(text);
}
