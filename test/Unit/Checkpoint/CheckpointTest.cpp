//===- CheckpointTest.cpp - Whole checkpoints -----------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Checkpoint.h"
#include "Fixture.h"
#include "kvq/Checkpoint/NameTable.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>
#include <limits>

using namespace kvq;
using namespace kvq::test;

namespace {

const std::string P0 = "model.layers.0.self_attn";
const std::string P1 = "model.layers.1.self_attn";

/// A llama of `layers` layers with those tensors.
Checkpoint llama(const std::vector<Tensor> &tensors, int layers = 1,
                 const std::string &more = ctConfig()) {
  Folder folder;
  folder.write("config.json", llamaConfig(layers, more));
  folder.write("model.safetensors", safetensors(tensors));
  return readOrFail(folder.str());
}

std::string llamaError(const std::vector<Tensor> &tensors, int layers = 1) {
  Folder folder;
  folder.write("config.json", llamaConfig(layers, ctConfig()));
  folder.write("model.safetensors", safetensors(tensors));
  return errorOf(folder.str());
}

std::vector<std::string> allNotes(const Checkpoint &checkpoint) {
  std::vector<std::string> notes = checkpoint.notes;
  for (const CheckpointLayer &layer : checkpoint.layers)
    notes.insert(notes.end(), layer.notes.begin(), layer.notes.end());
  return notes;
}

} // namespace

// Each name of the table reaches its layer and its kind.
TEST(NameTable, EveryNameReachesItsLayer) {
  for (const ScaleName &rule : scaleNames()) {
    Checkpoint checkpoint = llama({f32(P0 + rule.suffix.str(), 0.5f)});
    ASSERT_EQ(checkpoint.layers.size(), 1u);
    for (ScaleKind kind : allValues<ScaleKind>())
      EXPECT_EQ(valueOf(checkpoint.layers[0], kind), kind == rule.kind ? 0.5f : -1.0f)
          << rule.suffix.str();
    EXPECT_TRUE(checkpoint.unused.empty()) << rule.suffix.str();
  }
}

TEST(NameTable, GptLayersEndInAttn) {
  Folder folder;
  folder.write("config.json", R"({"model_type":"gpt2","n_layer":1})");
  folder.write("model.safetensors",
               safetensors({f32("h.0.attn.k_scale", 0.5f), f32("h.0.attn.attn.v_scale", 0.25f)}));
  Checkpoint checkpoint = readOrFail(folder.str());
  ASSERT_EQ(checkpoint.layers.size(), 1u);
  EXPECT_EQ(checkpoint.layers[0].name, "h.0.attn");
  EXPECT_EQ(valueOf(checkpoint.layers[0], ScaleKind::K), 0.5f);
  EXPECT_EQ(valueOf(checkpoint.layers[0], ScaleKind::V), 0.25f);
  EXPECT_TRUE(contains(checkpoint.notes, "vLLM 0.33 drops names such as 'attn.k_scale'"));
}

TEST(NameTable, NearMissesAreUnusedWithTheNearestRule) {
  Checkpoint checkpoint =
      llama({f32(P0 + ".k_scales", 0.5f), f32(P0 + ".k_proj.weight_scale", 1.0f),
             f32(P0 + ".q_proj.input_scale", 1.0f), f32(P0 + ".k_proj.weight_global_scale", 1.0f),
             f32(P0 + ".o_proj.pre_quant_scale", 1.0f), f32("model.layers.7.self_attn.k_scale", 1),
             f32("model.norm.scale", 1.0f)});
  EXPECT_EQ(checkpoint.unused,
            (std::vector<std::string>{P0 + ".k_scales", "model.layers.7.self_attn.k_scale"}));
  EXPECT_TRUE(contains(checkpoint.notes, "the nearest is '" + P0 + ".k_scale'"));
}

TEST(NameTable, WithoutAConfigurationNamesTellTheLayers) {
  Folder folder;
  folder.write("model.safetensors", safetensors({f32("net.blocks.10.mix.k_proj.k_scale", 0.5f),
                                                 f32("net.blocks.9.mix.attn.k_scale", 0.25f)}));
  Checkpoint checkpoint = readOrFail(folder.str());
  ASSERT_EQ(checkpoint.layers.size(), 2u);
  EXPECT_EQ(checkpoint.layers[0].name, "net.blocks.9.mix");
  EXPECT_EQ(checkpoint.layers[0].index, 9);
  EXPECT_EQ(checkpoint.layers[1].name, "net.blocks.10.mix");
  EXPECT_TRUE(checkpoint.geometryError);
  EXPECT_EQ(checkpoint.format, CheckpointFormat::None);
}

TEST(Checkpoint, TwoNamesForOneScaleMustAgree) {
  Checkpoint checkpoint = llama({f32(P0 + ".k_scale", 0.5f), f32(P0 + ".attn.k_scale", 0.5f)});
  EXPECT_TRUE(contains(checkpoint.layers[0].notes, "two tensors give one scale, and agree"));
  std::string error = llamaError({f32(P0 + ".k_scale", 0.5f), f32(P0 + ".kv_scale", 0.25f)});
  EXPECT_NE(error.find("'" + P0 + ".k_scale' in 'model.safetensors'"), std::string::npos) << error;
  EXPECT_NE(error.find("'" + P0 + ".kv_scale' in 'model.safetensors'"), std::string::npos);
}

TEST(Checkpoint, DtypesBecomeFloat32) {
  auto valueOfTensor = [](std::string dtype, std::string bytes, std::string shape = "[1]") {
    Checkpoint checkpoint = llama({{P0 + ".k_scale", dtype, shape, bytes}});
    return checkpoint.layers.empty() ? -2.0f : valueOf(checkpoint.layers[0], ScaleKind::K);
  };
  EXPECT_EQ(valueOfTensor("BF16", std::string("\x00\x3f", 2)), 0.5f);
  EXPECT_EQ(valueOfTensor("F16", std::string("\x00\x38", 2), "[]"), 0.5f);
  double tenth = 0.1;
  std::string bytes(reinterpret_cast<const char *>(&tenth), 8);
  EXPECT_EQ(valueOfTensor("F64", bytes, "[1,1]"), 0.1f);
  double huge = 1e300;
  bytes.assign(reinterpret_cast<const char *>(&huge), 8);
  EXPECT_TRUE(std::isinf(valueOfTensor("F64", bytes)));
}

TEST(Checkpoint, RefusesScalesThatAreNoFloats) {
  for (const char *dtype : {"U8", "I8", "BOOL", "F8_E4M3", "F8_E8M0"})
    EXPECT_NE(llamaError({{P0 + ".k_scale", dtype, "[1]", "1"}}).find("expected a scale of F32"),
              std::string::npos)
        << dtype;
  EXPECT_NE(llamaError({{P0 + ".k_scale", "F7", "[1]", "1"}}).find("expected a scale of F32"),
            std::string::npos);
  EXPECT_NE(llamaError({{P0 + ".k_scale", "F32", "[0]", ""}}).find("at least one number"),
            std::string::npos);
  EXPECT_NE(llamaError({{P0 + ".k_scale", "F32", "[2097152]", std::string(8388608, 'x')}})
                .find("expected at most"),
            std::string::npos);
  EXPECT_NE(llamaError({f32(P0 + "\\u0000.k_scale", 1.0f)}).find("NUL"), std::string::npos);
}

TEST(Checkpoint, ZeroPointsMustBeZero) {
  EXPECT_TRUE(
      llama({{P0 + ".k_zero_point", "F8_E4M3", "[1]", std::string(1, '\0')}}).unused.empty());
  EXPECT_NE(llamaError({{P0 + ".k_zero_point", "F8_E4M3", "[1]", "1"}}).find("zero point of zeros"),
            std::string::npos);
}

TEST(Checkpoint, PerHeadScalesKeepTheirShape) {
  Checkpoint checkpoint = llama({{P0 + ".k_scale", "BF16", "[8,1,1]", std::string(16, '\x3c')}});
  const CheckpointScale &scale = *checkpoint.layers[0].scales[size_t(ScaleKind::K)];
  EXPECT_EQ(scale.values.size(), 8u);
  EXPECT_EQ(llvm::ArrayRef<int64_t>(scale.shape), llvm::ArrayRef<int64_t>({8, 1, 1}));
  EXPECT_TRUE(contains(checkpoint.layers[0].notes, "shape [8, 1, 1], one number per head"));
}

TEST(Findings, OddValuesAreNoted) {
  auto note = [](float value, const char *text) {
    Checkpoint checkpoint = llama({f32(P0 + ".k_scale", value)});
    EXPECT_TRUE(contains(checkpoint.layers[0].notes, text)) << value;
  };
  note(0.0f, "divide by zero");
  note(-1.0f, "take a negative scale");
  note(std::numeric_limits<float>::quiet_NaN(), "k_scale is nan, not a finite number");
  note(std::numeric_limits<float>::infinity(), "k_scale is inf");
  note(2.7e-21f, "which no calibration gives");
  note(0.023f, "where an engine keeps it in bf16");
}

TEST(Findings, FarFromTheOthers) {
  std::vector<Tensor> tensors;
  for (int layer = 0; layer < 5; ++layer)
    tensors.push_back(f32("model.layers." + std::to_string(layer) + ".self_attn.k_scale",
                          layer == 3 ? 8.0f : 0.03125f));
  Checkpoint checkpoint = llama(tensors, 5);
  EXPECT_TRUE(contains(checkpoint.layers[3].notes, "far from the other layers'"));
  EXPECT_FALSE(contains(checkpoint.layers[2].notes, "far from"));
}

TEST(Findings, WholeModels) {
  auto both = [](float value) {
    return std::vector<Tensor>{f32(P0 + ".k_scale", value), f32(P0 + ".v_scale", value),
                               f32(P1 + ".k_scale", value), f32(P1 + ".v_scale", value)};
  };
  EXPECT_TRUE(contains(llama(both(1.0f), 2).notes, "exactly 1.0"));
  EXPECT_TRUE(contains(llama(both(32.0f), 2).notes, "reciprocals"));
  EXPECT_TRUE(llama(both(0.5f), 2).notes.empty());
}

TEST(Findings, ConvertedScalesWereRounded) {
  Checkpoint checkpoint =
      llama({{P0 + ".k_proj.k_scale", "BF16", "[]", std::string("\x00\x3f", 2)}});
  EXPECT_TRUE(contains(checkpoint.notes, "exact to 2^-9"));
}

TEST(Findings, AnnouncementsAreCompared) {
  Checkpoint missing = llama({f32(P0 + ".k_scale", 0.5f), f32(P0 + ".v_scale", 0.5f)}, 2);
  EXPECT_TRUE(contains(missing.notes, "1 of 2 layers have no k_scale: '" + P1 + "'"));
  EXPECT_TRUE(contains(missing.layers[1].notes, "the checkpoint has no v_scale"));
  Checkpoint unannounced = llama({f32(P0 + ".k_scale", 0.5f)}, 1, "");
  EXPECT_EQ(unannounced.format, CheckpointFormat::None);
  EXPECT_TRUE(contains(unannounced.notes, "does not announce them"));
  EXPECT_TRUE(contains(llama({}, 1, "").notes, "announces none; 1.0 is used"));
  Checkpoint loneV = llama({f32(P0 + ".v_scale", 0.5f)});
  EXPECT_TRUE(contains(loneV.layers[0].notes, "has v_scale but no k_scale"));
  Checkpoint deprecated = llama({f32(P0 + ".kv_scale", 0.5f)});
  EXPECT_TRUE(contains(deprecated.layers[0].notes, "deprecated name"));
  EXPECT_FALSE(contains(allNotes(deprecated), "no v_scale"));
}

TEST(Formats, AreRecognised) {
  auto formatOf = [](const std::string &quantization) {
    return stringify(
               llama({}, 1, quantization.empty() ? "" : ", \"quantization_config\":" + quantization)
                   .format)
        .str();
  };
  EXPECT_EQ(formatOf(R"({"quant_method":"compressed_tensors"})"), "compressed-tensors");
  EXPECT_EQ(formatOf(R"({"quant_method":"modelopt_fp4"})"), "modelopt");
  EXPECT_EQ(formatOf(R"({"producer":{"name":"modelopt"}})"), "modelopt");
  EXPECT_EQ(formatOf(R"({"quant_method":"quark","export":{"kv_cache_group":["*k_proj"]}})"),
            "quark");
  EXPECT_EQ(formatOf(R"({"quant_method":"fp8","export":{},"kv_cache_scheme":"static"})"), "quark");
  EXPECT_EQ(formatOf(R"({"quant_method":"fp8","kv_cache_scheme":null})"), "fp8");
  EXPECT_EQ(formatOf(R"({"quant_method":"fp8","kv_cache_scheme":7})"), "fp8");
  EXPECT_EQ(formatOf(R"({"quant_method":"awq"})"), "none");
  EXPECT_EQ(formatOf(""), "none");
}

TEST(Formats, OfOtherEnginesAreNamed) {
  Folder tensorRT;
  tensorRT.write("config.json",
                 R"({"architecture":"LlamaForCausalLM","quantization":{},"mapping":{}})");
  std::string error = errorOf(tensorRT.str());
  EXPECT_NE(error.find("'tensorrt-llm' is not supported; expected one of 'compressed-tensors'"),
            std::string::npos)
      << error;
  Folder mistral;
  mistral.write("params.json", "{}").write("consolidated.safetensors", safetensors({}));
  EXPECT_NE(errorOf(mistral.str()).find("'mistral' is not supported"), std::string::npos);
}

TEST(Formats, ModelOptFilesMayDisagree) {
  Folder folder;
  folder.write("config.json",
               llamaConfig(1, R"(, "quantization_config":{"quant_method":"modelopt"})"));
  folder.write("hf_quant_config.json", R"({"quantization":{"kv_cache_quant_algo":"FP8"}})");
  folder.write("model.safetensors", safetensors({f32(P0 + ".k_proj.k_scale", 0.5f)}));
  Checkpoint checkpoint = readOrFail(folder.str());
  EXPECT_TRUE(contains(checkpoint.notes, "disagree on the KV cache"));
  EXPECT_TRUE(contains(checkpoint.notes, "drops them in silence"));
}

TEST(Latent, HasOneScalePerRow) {
  Folder folder;
  folder.write("config.json", R"({"model_type":"deepseek_v3","num_hidden_layers":1,
    "num_nextn_predict_layers":1,"quantization_config":{"quant_method":"fp8"}})");
  folder.write("model.safetensors",
               safetensors({f32(P0 + ".k_scale", 0.5f), f32(P0 + ".v_scale", 0.25f)}));
  Checkpoint checkpoint = readOrFail(folder.str());
  ASSERT_EQ(checkpoint.layers.size(), 1u);
  EXPECT_EQ(valueOf(checkpoint.layers[0], ScaleKind::V), -1.0f);
  EXPECT_TRUE(contains(checkpoint.layers[0].notes, "is not used and differs from k_scale (0.5)"));
  EXPECT_TRUE(contains(checkpoint.notes, "'k_proj.k_scale' is safe"));
}

TEST(Checkpoint, DigestDependsOnWhatWasRead) {
  auto digest = [](float value, const std::string &more) {
    Folder folder;
    folder.write("config.json", llamaConfig(1, more));
    folder.write("model.safetensors", safetensors({f32(P0 + ".k_scale", value)}));
    return readOrFail(folder.str()).sha256;
  };
  EXPECT_EQ(digest(0.5f, "").size(), 64u);
  EXPECT_EQ(digest(0.5f, ""), digest(0.5f, ""));
  EXPECT_NE(digest(0.5f, ""), digest(0.25f, ""));
  EXPECT_NE(digest(0.5f, ""), digest(0.5f, " "));
}

TEST(Checkpoint, RefusesWhatIsNoCheckpoint) {
  Folder folder;
  EXPECT_NE(errorOf(folder.str()).find("expected safetensors files, but got none"),
            std::string::npos);
  folder.write("pytorch_model.bin", "x");
  EXPECT_NE(errorOf(folder.str()).find("only pickled ones ('pytorch_model.bin')"),
            std::string::npos);
  EXPECT_NE(errorOf(folder.pathOf("none")).find("No such file"), std::string::npos);
  folder.write("model.safetensors", safetensors({}));
  EXPECT_NE(errorOf(folder.pathOf("model.safetensors")).find("expected the folder"),
            std::string::npos);
  folder.write("config.json", "");
  EXPECT_NE(errorOf(folder.str()).find("config.json: the file is empty"), std::string::npos);
  folder.write("config.json", llamaConfig(0));
  EXPECT_NE(errorOf(folder.str()).find("integer from 1 to 1048576, but got 0"), std::string::npos);
}

// The real tools' files, where the checkout has them.
TEST(RealData, IsRead) {
  llvm::StringRef folder = KVQ_REAL_DATA;
  if (!llvm::sys::fs::exists(folder))
    GTEST_SKIP() << "no real data beside the checkout";
  auto read = [&](const char *name) { return readOrFail((folder + "/" + name).str()); };
  Checkpoint ct = read("checkpoints/llm-compressor-llama");
  EXPECT_EQ(ct.format, CheckpointFormat::CompressedTensors);
  EXPECT_EQ(ct.layers.size(), 4u);
  EXPECT_EQ(valueOf(ct.layers[0], ScaleKind::K), 0.0017700195f);
  EXPECT_TRUE(ct.unused.empty());
  Checkpoint modelOpt = read("checkpoints/modelopt-llama");
  EXPECT_EQ(modelOpt.format, CheckpointFormat::ModelOpt);
  EXPECT_EQ(valueOf(modelOpt.layers[3], ScaleKind::V), 0.0014125279f);
  Checkpoint attention = read("checkpoints/llm-compressor-attention");
  EXPECT_TRUE(contains(attention.layers[0].notes, "no calibration gives"));
  EXPECT_TRUE(attention.unused.empty());
  Checkpoint legacy = read("llama2-70b-kv_cache_scales.json");
  EXPECT_EQ(legacy.layers.size(), 80u);
}
