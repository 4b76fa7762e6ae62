//===- JsonText.h - JSON as kvq writes it -----------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_ARTEFACT_JSONTEXT_H
#define KVQ_ARTEFACT_JSONTEXT_H

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace kvq {

/// A float32 as JSON: a number, or the string "nan", "inf" or "-inf".
nlohmann::ordered_json toJson(float value);

/// Several numbers as JSON: {"shape": [2], "values": [0.5, 0.25]}.
nlohmann::ordered_json toJson(const std::vector<float> &values);

/// The text of `value`, whose numbers with a fraction are float32: the shortest
/// decimal that reads back to the same float32, with a point or an exponent.
/// Lists and objects that fit stand on one line. Bytes that are no UTF-8 become
/// replacement characters. Ends with a newline.
std::string toJsonText(const nlohmann::ordered_json &value);

} // namespace kvq

#endif // KVQ_ARTEFACT_JSONTEXT_H
