//===- RulesTableTest.cpp - The rules against the seed's own function -----===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// rules_table.txt holds what vLLM's function gives for every combination of
// states; utils/make_rules_table.py makes it and says how.
//
//===----------------------------------------------------------------------===//

#include "kvq/Resolve/Rules.h"
#include "kvq/Support/Float32Text.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace kvq;
using llvm::StringRef;

namespace {

struct Outcome {
  std::array<StringRef, 4> scales;
  bool calculate;
  std::vector<StringRef> warnings;
  StringRef error;
};

struct Rows {
  unsigned set;
  KVCacheDtype dtype;
  bool calculate, fnuz;
  std::vector<unsigned> outcomes;
};

enum State { Absent, Negative, Zero, Positive, Infinite, NotANumber, NumStates };

struct Table {
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  /// By set, state and kind.
  std::vector<std::array<std::array<float, 4>, NumStates>> sets;
  std::vector<StringRef> texts;
  std::vector<Outcome> outcomes;
  std::vector<Rows> rows;
};

unsigned toNumber(StringRef text, unsigned radix = 10) {
  unsigned number = 0;
  EXPECT_FALSE(text.getAsInteger(radix, number)) << text.str();
  return number;
}

void readSet(Table &table, llvm::ArrayRef<StringRef> words) {
  unsigned index = toNumber(words[0]);
  if (index == table.sets.size())
    table.sets.emplace_back();
  State state = words[1] == "negative" ? Negative : words[1] == "zero" ? Zero : Positive;
  for (unsigned kind = 0; kind != 4; ++kind) {
    table.sets[index][state][kind] = llvm::bit_cast<float>(toNumber(words[2 + kind], 16));
    table.sets[index][Infinite][kind] = INFINITY;
    table.sets[index][NotANumber][kind] = NAN;
  }
}

void readOutcome(Table &table, StringRef text) {
  llvm::SmallVector<StringRef> words;
  text.trim().split(words, ' ');
  Outcome outcome;
  std::copy_n(words.begin(), 4, outcome.scales.begin());
  outcome.calculate = words[4] == "1";
  if (words[5] != "-")
    for (StringRef index : llvm::split(words[5], ','))
      outcome.warnings.push_back(table.texts[toNumber(index)]);
  if (words[6] != "-")
    outcome.error = table.texts[toNumber(words[6])];
  table.outcomes.push_back(outcome);
}

void readRows(Table &table, llvm::ArrayRef<StringRef> words) {
  Rows rows{
      toNumber(words[0]), *symbolize<KVCacheDtype>(words[1]), words[2] == "1", words[3] == "1", {}};
  for (StringRef run : words.drop_front(4)) {
    auto [outcome, count] = run.split('*');
    rows.outcomes.insert(rows.outcomes.end(), count.empty() ? 1 : toNumber(count),
                         toNumber(outcome));
  }
  table.rows.push_back(std::move(rows));
}

Table readTable() {
  Table table;
  table.buffer = std::move(*llvm::MemoryBuffer::getFile(KVQ_RULES_TABLE));
  for (StringRef line : llvm::split(table.buffer->getBuffer(), '\n')) {
    auto [kind, rest] = line.split(' ');
    llvm::SmallVector<StringRef> words;
    rest.split(words, ' ');
    if (kind == "set")
      readSet(table, words);
    else if (kind == "text")
      table.texts.push_back(rest.split(' ').second);
    else if (kind == "outcomes")
      for (StringRef outcome : llvm::split(rest, ';'))
        readOutcome(table, outcome);
    else if (kind == "rows")
      readRows(table, words);
  }
  return table;
}

std::string bitsOf(float value) {
  uint32_t bits = std::isnan(value) ? 0x7FC00000 : llvm::bit_cast<uint32_t>(value);
  return llvm::utohexstr(bits, /*LowerCase=*/true, /*Width=*/8);
}

/// The seed's text of an error, or the contract's for its assertion, which has none.
std::string errorText(StringRef error, float k) {
  if (error.consume_front("ValueError "))
    return error.str();
  EXPECT_EQ(error, "AssertionError");
  return "expected a positive k_scale where k_scale and v_scale are not both positive or both "
         "negative, but got " +
         formatFloat32(k);
}

/// Whether `output` is `expected`; says how they differ if not.
testing::AssertionResult equals(const RuleOutput &output, const Outcome &expected, float k) {
  if (output.error.has_value() == expected.error.empty())
    return testing::AssertionFailure() << "one of the two is an error";
  if (output.error && output.error->text != errorText(expected.error, k))
    return testing::AssertionFailure() << output.error->text;
  if (output.calculateKVScales != expected.calculate)
    return testing::AssertionFailure() << "calculate_kv_scales " << output.calculateKVScales;
  for (unsigned kind = 0; kind != 4 && !output.error; ++kind)
    if (bitsOf(output.scales[kind]) != expected.scales[kind])
      return testing::AssertionFailure() << "scale " << kind << " is " << output.scales[kind];
  if (output.warnings.size() != expected.warnings.size())
    return testing::AssertionFailure() << output.warnings.size() << " warnings";
  for (size_t i = 0; i != output.warnings.size(); ++i)
    if (output.warnings[i].text != expected.warnings[i])
      return testing::AssertionFailure() << output.warnings[i].text;
  return testing::AssertionSuccess();
}

} // namespace

TEST(RulesTable, EveryCombinationResolvesAsInTheSeed) {
  Table table = readTable();
  ASSERT_EQ(table.rows.size(), table.sets.size() * 16);
  ASSERT_GE(table.sets.size(), 3u);
  for (const Rows &rows : table.rows) {
    ASSERT_EQ(rows.outcomes.size(), 1296u);
    for (unsigned row = 0; row != rows.outcomes.size(); ++row) {
      const std::array<unsigned, 4> states = {row / 216, row / 36 % 6, row / 6 % 6, row % 6};
      RuleInput input;
      input.dtype = rows.dtype;
      input.calculateKVScales = rows.calculate;
      input.fnuz = rows.fnuz;
      for (unsigned kind = 0; kind != 4; ++kind)
        if (states[kind] != Absent)
          input.scales[kind] = RawScale{table.sets[rows.set][states[kind]][kind], 1};
      float k = input.scales[1] ? input.scales[1]->value : -1.0f;
      ASSERT_TRUE(equals(resolveScales(input), table.outcomes[rows.outcomes[row]], k))
          << "set " << rows.set << ", " << stringify(rows.dtype).str() << ", calculate "
          << rows.calculate << ", fnuz " << rows.fnuz << ", states " << states[0] << states[1]
          << states[2] << states[3];
    }
  }
}
