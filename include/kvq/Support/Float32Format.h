//===- Float32Format.h - The spelling of a float32 --------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Without LLVM, so that the artefact's writer shares it; Float32Text.h is the
// one to include elsewhere.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SUPPORT_FLOAT32FORMAT_H
#define KVQ_SUPPORT_FLOAT32FORMAT_H

#include <charconv>
#include <cmath>
#include <string>

namespace kvq {

/// The shortest decimal that reads back to the same float32, with a point or an
/// exponent: '0.023', '1.0', '2.7e-21', '-0.0'; 'nan', 'inf' and '-inf' for what
/// is not finite.
inline std::string formatFloat32(float value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char buffer[64];
  auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  std::string text(buffer, result.ptr);
  if (text.find_first_of(".e") == std::string::npos)
    text += ".0";
  return text;
}

} // namespace kvq

#endif // KVQ_SUPPORT_FLOAT32FORMAT_H
