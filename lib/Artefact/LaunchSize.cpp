//===- LaunchSize.cpp - Sizes of grids and blocks -------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/Manifest.h"

using namespace kvq;

LaunchSize LaunchSize::of(int64_t number) {
  LaunchSize size;
  size.number = number;
  return size;
}

LaunchSize LaunchSize::of(const std::string &argument) {
  LaunchSize size;
  size.kind = Kind::Argument;
  size.argument = argument;
  return size;
}

LaunchSize LaunchSize::ceilDiv(LaunchSize dividend, LaunchSize divisor) {
  LaunchSize size;
  size.kind = Kind::CeilDiv;
  size.operands = {std::move(dividend), std::move(divisor)};
  return size;
}

LaunchSize LaunchSize::mul(LaunchSize a, LaunchSize b) {
  LaunchSize size;
  size.kind = Kind::Mul;
  size.operands = {std::move(a), std::move(b)};
  return size;
}

static constexpr std::pair<LaunchSize::Kind, const char *> keys[] = {
    {LaunchSize::Kind::CeilDiv, "ceil_div"},
    {LaunchSize::Kind::Mul, "mul"},
    {LaunchSize::Kind::Min, "min"},
    {LaunchSize::Kind::Max, "max"},
};

const char *kvq::launchSizeKey(LaunchSize::Kind kind) {
  for (const auto &[joined, key] : keys)
    if (joined == kind)
      return key;
  return "";
}

std::optional<LaunchSize::Kind> kvq::launchSizeKind(std::string_view key) {
  for (const auto &[joined, name] : keys)
    if (key == name)
      return joined;
  return std::nullopt;
}
