//===- HeadProof.cpp - One arithmetic for the scales of all heads ---------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/HeadProof.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>
#include <optional>

namespace kvq {

/// The methods that have one form for all scales, cheapest first.
static constexpr Method methods[] = {Method::None, Method::Multiply, Method::TwoStep,
                                     Method::Divide};

/// A proof that `scale` can be applied by `method`, which is dearer than the
/// method of `cheapest`.
static std::optional<Proof> proveDearer(const Proof &cheapest, Method method,
                                        llvm::function_ref<Trial(const Arithmetic &)> attempt) {
  const float a = cheapest.arithmetic.a;
  Arithmetic dearer;
  dearer.method = method;
  // To multiply by 1 is to do nothing.
  dearer.a = cheapest.arithmetic.method == Method::None ? 1.0f : a;
  if (method == Method::TwoStep) {
    // A second term far below the last place of the first, but no zero: infinity
    // times zero is no number.
    dearer.b = std::ldexp(dearer.a, -60);
    if (!std::isnormal(dearer.b))
      return std::nullopt;
  }
  Trial trial = attempt(dearer);
  if (!trial.holds)
    return std::nullopt;
  return Proof{dearer, trial.evaluations, cheapest.bySwitchPoints};
}

std::vector<Proof> proveStores(SourceType source, Fp8Format format, llvm::ArrayRef<float> scales) {
  std::vector<Proof> cheapest;
  const Method *method = methods;
  for (float scale : scales) {
    cheapest.push_back(proveStore(source, format, scale));
    const Method *found = llvm::find(methods, cheapest.back().arithmetic.method);
    method = std::max(method, std::min(found, std::end(methods) - 1));
  }
  auto attempt = [&](float scale, const Arithmetic &arithmetic) {
    return source == SourceType::F32 ? trySwitchPoints(source, format, scale, arithmetic)
                                     : tryEveryInput(source, format, scale, arithmetic);
  };
  auto proveAll = [&]() -> std::optional<std::vector<Proof>> {
    std::vector<Proof> proofs = cheapest;
    for (size_t head = 0; head < proofs.size(); ++head) {
      if (proofs[head].arithmetic.method == *method)
        continue;
      std::optional<Proof> dearer =
          proveDearer(proofs[head], *method,
                      [&](const Arithmetic &tried) { return attempt(scales[head], tried); });
      if (!dearer)
        return std::nullopt;
      proofs[head] = *dearer;
    }
    return proofs;
  };
  if (*method != Method::Divide)
    if (std::optional<std::vector<Proof>> proofs = proveAll())
      return *proofs;
  // The division is the reference itself.
  std::vector<Proof> proofs;
  for (float scale : scales) {
    Arithmetic division;
    division.method = Method::Divide;
    division.a = scale;
    proofs.push_back({division, attempt(scale, division).evaluations, source == SourceType::F32});
  }
  return proofs;
}

std::vector<Proof> proveLoads(Fp8Format format, SourceType source, llvm::ArrayRef<float> scales) {
  std::vector<Proof> proofs;
  for (float scale : scales)
    proofs.push_back(proveLoad(format, source, scale));
  bool isNothing = llvm::all_of(
      proofs, [](const Proof &proof) { return proof.arithmetic.method == Method::None; });
  if (isNothing)
    return proofs;
  // The multiplication is the reference itself.
  for (auto [scale, proof] : llvm::zip_equal(scales, proofs)) {
    Arithmetic product;
    product.method = Method::Multiply;
    product.a = scale;
    proof = {product, tryEveryCode(format, source, scale, product).evaluations, false};
  }
  return proofs;
}

} // namespace kvq
