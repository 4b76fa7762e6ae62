//===- NameTable.h - The names that scales go by ----------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ordered table of the suffixes under which exporters and engines store an
// attention layer's scales: a tensor is a scale of the layer P if its name is P
// followed by one of them.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_NAMETABLE_H
#define KVQ_CHECKPOINT_NAMETABLE_H

#include "kvq/Support/Names.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <optional>

namespace kvq {

/// The family a name belongs to, which decides who else reads it.
enum class NameForm {
  Engine,        // '.attn.k_scale': vLLM's own parameter
  MlaEngine,     // '.mla_attn.mla_attn.k_scale'
  Deprecated,    // '.kv_scale': one for k and v
  Projection,    // '.k_proj.k_scale': ModelOpt
  Fused,         // '.qkv_proj.k_scale', '.qkqkv_proj.k_scale'
  Cache,         // '.q.scale', '.k_cache.scale': Hunyuan
  Plain,         // '.k_scale': compressed-tensors, AutoFP8
  Output,        // '.k_proj.output_scale': Quark
  FakeQuantizer, // '.k_fake_quantizer.qscale_act': Mistral
};

struct ScaleName {
  llvm::StringLiteral suffix;
  ScaleKind kind;
  NameForm form;
};

/// In the order of the documentation. Matches are exact, so the order decides
/// nothing but which rule is called the nearest.
llvm::ArrayRef<ScaleName> scaleNames();

/// The zero points that stand beside the scales: '.k_zero_point' and so on.
llvm::ArrayRef<llvm::StringLiteral> zeroPointSuffixes();

/// Whether the rest of a name below a layer looks like a scale, other than one
/// of weights or activations ('weight_scale', 'input_scale' and their kin).
bool looksLikeScale(llvm::StringRef rest);

/// Whether a tensor of that name may concern some layer's scales, whatever the
/// layers are called: a scale, a look-alike or a zero point. A name that holds
/// a NUL may, for it is refused.
bool mayBeScale(llvm::StringRef name);

/// The suffix that `rest`, the part of a name below its layer, resembles most.
const ScaleName &nearestScaleName(llvm::StringRef rest);

} // namespace kvq

#endif // KVQ_CHECKPOINT_NAMETABLE_H
