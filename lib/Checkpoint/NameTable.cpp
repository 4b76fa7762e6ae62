//===- NameTable.cpp - The names that scales go by ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/NameTable.h"

using namespace llvm;
using namespace kvq;

ArrayRef<ScaleName> kvq::scaleNames() {
  static constexpr ScaleName table[] = {
      {".attn.q_scale", ScaleKind::Q, NameForm::Engine},
      {".attn.k_scale", ScaleKind::K, NameForm::Engine},
      {".attn.v_scale", ScaleKind::V, NameForm::Engine},
      {".attn.prob_scale", ScaleKind::Prob, NameForm::Engine},
      {".mla_attn.mla_attn.q_scale", ScaleKind::Q, NameForm::MlaEngine},
      {".mla_attn.mla_attn.k_scale", ScaleKind::K, NameForm::MlaEngine},
      {".mla_attn.mla_attn.v_scale", ScaleKind::V, NameForm::MlaEngine},
      {".kv_scale", ScaleKind::K, NameForm::Deprecated},
      {".k_proj.k_scale", ScaleKind::K, NameForm::Projection},
      {".v_proj.v_scale", ScaleKind::V, NameForm::Projection},
      // The last part decides, as in vLLM.
      {".k_proj.v_scale", ScaleKind::V, NameForm::Projection},
      {".v_proj.k_scale", ScaleKind::K, NameForm::Projection},
      {".qkv_proj.k_scale", ScaleKind::K, NameForm::Fused},
      {".qkv_proj.v_scale", ScaleKind::V, NameForm::Fused},
      {".qkqkv_proj.k_scale", ScaleKind::K, NameForm::Fused},
      {".qkqkv_proj.v_scale", ScaleKind::V, NameForm::Fused},
      {".q.scale", ScaleKind::Q, NameForm::Cache},
      {".k_cache.scale", ScaleKind::K, NameForm::Cache},
      {".v_cache.scale", ScaleKind::V, NameForm::Cache},
      {".q_scale", ScaleKind::Q, NameForm::Plain},
      {".k_scale", ScaleKind::K, NameForm::Plain},
      {".v_scale", ScaleKind::V, NameForm::Plain},
      {".q_proj.output_scale", ScaleKind::Q, NameForm::Output},
      {".k_proj.output_scale", ScaleKind::K, NameForm::Output},
      {".v_proj.output_scale", ScaleKind::V, NameForm::Output},
      {".prob_output_scale", ScaleKind::Prob, NameForm::Output},
      {".q_fake_quantizer.qscale_act", ScaleKind::Q, NameForm::FakeQuantizer},
      {".k_fake_quantizer.qscale_act", ScaleKind::K, NameForm::FakeQuantizer},
      {".v_fake_quantizer.qscale_act", ScaleKind::V, NameForm::FakeQuantizer},
      {".kv_fake_quantizer.qscale_act", ScaleKind::K, NameForm::FakeQuantizer},
  };
  return table;
}

ArrayRef<StringLiteral> kvq::zeroPointSuffixes() {
  static constexpr StringLiteral table[] = {
      ".q_zero_point",      ".k_zero_point",      ".v_zero_point",
      ".attn.q_zero_point", ".attn.k_zero_point", ".attn.v_zero_point",
  };
  return table;
}

bool kvq::looksLikeScale(StringRef rest) {
  if (!rest.contains("scale"))
    return false;
  StringRef last = rest.substr(rest.rfind('.') + 1);
  return !last.starts_with("weight_scale") && !last.starts_with("input_scale") &&
         !last.ends_with("_global_scale") && last != "pre_quant_scale";
}

bool kvq::mayBeScale(StringRef name) {
  if (name.ends_with("_zero_point") || looksLikeScale(name))
    return true;
  return name.contains('\0') && name.contains("scale");
}

const ScaleName &kvq::nearestScaleName(StringRef rest) {
  const ScaleName *nearest = nullptr;
  unsigned least = ~0u;
  // A hostile name may be megabytes long; what resembles a suffix is not.
  rest = rest.take_back(128);
  for (const ScaleName &name : scaleNames()) {
    unsigned distance = rest.edit_distance(name.suffix);
    if (distance < least) {
      least = distance;
      nearest = &name;
    }
  }
  return *nearest;
}
