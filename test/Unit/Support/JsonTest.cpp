//===- JsonTest.cpp - JSON with LLVM's errors -----------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Support/Json.h"
#include "kvq/Support/Quote.h"
#include <gtest/gtest.h>

using namespace kvq;

TEST(Json, FailuresBecomeErrors) {
  llvm::Expected<JsonValue> good = parseJson("[1]");
  ASSERT_TRUE(bool(good));
  EXPECT_EQ(good->elements.size(), 1u);
  llvm::Expected<JsonValue> bad = parseJson("{\"a\": 1, \"a\": 2}");
  ASSERT_FALSE(bool(bad));
  EXPECT_EQ(llvm::toString(bad.takeError()), parseJsonText("{\"a\": 1, \"a\": 2}").error());
}

TEST(Quote, ListsNames) {
  EXPECT_EQ(quoteNames({"a", "b", "c"}, 2), "'a', 'b' and 1 more");
  EXPECT_EQ(quoteNames({"a", "b"}, 2), "'a', 'b'");
}
