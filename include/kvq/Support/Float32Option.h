//===- Float32Option.h - Options of float32 ---------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM prints a float or double with six digits behind the point, so that an
// option of theirs does not read back as it was.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SUPPORT_FLOAT32OPTION_H
#define KVQ_SUPPORT_FLOAT32OPTION_H

#include "kvq/Support/Float32Text.h"
#include "llvm/Support/CommandLine.h"

namespace kvq {

/// The value of an option of a pass.
struct Float32Option {
  Float32Option(float value = 0) : value(value) {}

  float value;
};

inline llvm::raw_ostream &operator<<(llvm::raw_ostream &os, const Float32Option &option) {
  return os << formatFloat32(option.value);
}

} // namespace kvq

template <> class llvm::cl::parser<kvq::Float32Option> : public basic_parser<kvq::Float32Option> {
public:
  using basic_parser::basic_parser;

  /// True for an error, as LLVM has it.
  bool parse(Option &option, StringRef, StringRef text, kvq::Float32Option &value) {
    std::optional<float> parsed = kvq::parseFloat32(text);
    if (!parsed)
      return option.error("expected a float32 number, but got '" + text + "'");
    value = *parsed;
    return false;
  }

  StringRef getValueName() const override { return "number"; }

  void printOptionDiff(const Option &option, const kvq::Float32Option &, const OptVal &,
                       size_t width) const {
    printOptionNoValue(option, width);
  }
};

#endif // KVQ_SUPPORT_FLOAT32OPTION_H
