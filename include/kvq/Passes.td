//===- Passes.td - Every pass, in pipeline order -----------*- tablegen -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_PASSES_TD
#define KVQ_PASSES_TD

include "mlir/Pass/PassBase.td"

// An option whose values are the words of an enumeration of Names.def.
class NameOption<string cppName, string argument, string enum, string default, string desc>
    : Option<cppName, argument, "::kvq::" # enum, "::kvq::" # enum # "::" # default, desc,
             "::kvq::nameValues<::kvq::" # enum # ">()">;

//===----------------------------------------------------------------------===//
// Import
//===----------------------------------------------------------------------===//

def LoadScalesPass : Pass<"kvq-load-scales", "::mlir::ModuleOp"> {
  let summary = "Reads a checkpoint's attention layers and scales into the module";
  let description = [{
    Adds a `kvq.attention` for every layer of the checkpoint that owns a cache,
    with the scales as the files give them. The checkpoint is a folder of Hugging
    Face files or a legacy `kv_cache_scales.json`; `config` names a config.json for
    the latter, which has no geometry. `source-type` overrides the checkpoint's own
    (default: empty, the checkpoint's). `kv-cache-dtype` (default: `fp8`) and
    `calculate-kv-scales` (default: false) are what an engine would be told.

    ```mlir
    // kvq-opt --kvq-load-scales='checkpoint=test/Inputs/checkpoints/llama-ct' gives:
    module {
      kvq.attention @model.layers.0.self_attn index 0
          geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8
          checkpoint(k = 0.0230102539, v = 0.0310058594)
    }
    ```
  }];
  let options = [
    Option<"checkpoint", "checkpoint", "std::string", "", "The checkpoint's folder or file">,
    Option<"config", "config", "std::string", "", "A config.json to take the geometry from">,
    Option<"sourceType", "source-type", "std::string", "", "bf16, f16 or f32 in place of the checkpoint's">,
    NameOption<"kvCacheDtype", "kv-cache-dtype", "KVCacheDtype", "Fp8", "What an engine keeps in its cache">,
    Option<"calculateKVScales", "calculate-kv-scales", "bool", "false", "An engine's calculate_kv_scales">,
  ];
  let dependentDialects = ["::kvq::KvqDialect"];
}

//===----------------------------------------------------------------------===//
// Resolve
//===----------------------------------------------------------------------===//

def ResolveScalesPass : Pass<"kvq-resolve-scales", "::mlir::ModuleOp"> {
  let summary = "Resolves every layer's scales as an engine would on one chip";
  let description = [{
    Sets the module's target to `chip` and applies the rules of docs/rules.md to
    every `kvq.attention`. Without `chip` the module's own `kvq.target` stands.
    `fnuz` (default: false) makes the host stand in for a chip with fnuz formats.
    The seed's warnings are emitted as warnings at the layer's location, kvq's own
    notes as remarks; both are left in the op.

    A k or v scale of several numbers is an error, as in the seed. With
    `per-head-scales` (default: false) it is one number for each KV head, of the
    shape [kv_heads] or with ones around it as in [kv_heads, 1, 1], and the rules
    are applied to each of them, which has to be positive; the resolved scale is
    then a tensor.

    ```mlir
    // --kvq-resolve-scales=chip=gfx942 doubles the scales:
    module attributes {kvq.target = #kvq.target<chip = "gfx942", fnuz = true>} {
      kvq.attention @layer index 0 cache fp8 checkpoint(k = 0.5, v = 0.25)
          resolved(q = 1.0, k = 1.0, v = 0.5, prob = 1.0)
    }
    ```
  }];
  let options = [
    Option<"chip", "chip", "std::string", "", "The chip to compile for; the module's own if empty">,
    Option<"fnuz", "fnuz", "bool", "false", "Use the fnuz formats on the host">,
    Option<"perHeadScales", "per-head-scales", "bool", "false", "Take k and v scales of one number a KV head">,
  ];
  let dependentDialects = ["::kvq::KvqDialect"];
}

//===----------------------------------------------------------------------===//
// Generate
//===----------------------------------------------------------------------===//

def GenerateKernelsPass : Pass<"kvq-generate-kernels", "::mlir::ModuleOp"> {
  let summary = "Makes a kernel for every different cache operation of the layers";
  let description = [{
    Makes a `gpu.module @kvq_kernels` with a `gpu.func` for each operation of `ops`
    (default: `store,load`) and each different combination of geometry, formats and
    scales; layers with equal kernels share one. The layers that a kernel reads
    scales of are copied beside it. Each layer's `kernels` names what it launches.

    `layout` (default: `nhd`), `block-size` (default: 16) and `align` (default: 16)
    describe the caches, `tensor-parallel-size` (default: 1) divides the heads,
    `bounds` (default: `check`) says what happens to slots beyond a cache. A layer's
    own `layout` stands. Slots are of `slot-type` (default: `i64`), and one equal to
    `padding-slot` (default: -1) is skipped, as all negative ones are. `q-scale-constant` and
    `k-scale-constant` (default: 200) and `v-scale-constant` (default: 100) are what
    `compute_scales` divides maxima by. With
    `scales=argument` (default: `fold`) scales stay pointers, as they do in layers
    whose scales are calculated on the fly.

    With several alignments in `align`, or with `scales=both`, an operation has
    several kernels: the first alignment's, folded where scales can be, goes by the
    operation's name in `kernels`, the others by names as `store.align4`,
    `store.dynamic` and `store.align4_dynamic`. One that needs of its arguments what
    an earlier one needs is left out.

    ```mlir
    module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
      kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128>
          source bf16 cache fp8 checkpoint(k = 0.5, v = 0.25)
          resolved(q = 1.0, k = 0.5, v = 0.25, prob = 1.0)
    }
    ```
  }];
  let options = [
    // Upstream's list options take no enumerations.
    ListOption<"ops", "ops", "std::string", "The operations to make kernels for">,
    NameOption<"layout", "layout", "LayoutKind", "NHD", "The order inside a cache block">,
    Option<"blockSize", "block-size", "int64_t", "16", "Rows of a cache block">,
    ListOption<"align", "align", "int64_t", "Bytes that pointers and strides are multiples of">,
    Option<"tensorParallelSize", "tensor-parallel-size", "int64_t", "1", "Ranks that share the heads">,
    NameOption<"bounds", "bounds", "Bounds", "Check", "What happens to slots beyond the cache">,
    NameOption<"slotType", "slot-type", "SlotType", "I64", "The integers of slot_mapping">,
    Option<"paddingSlot", "padding-slot", "int64_t", "-1", "A slot that is skipped, as the negative ones are">,
    Option<"qScaleConstant", "q-scale-constant", "::kvq::Float32Option", "200.0f", "What compute_scales divides q by">,
    Option<"kScaleConstant", "k-scale-constant", "::kvq::Float32Option", "200.0f", "What compute_scales divides k by">,
    Option<"vScaleConstant", "v-scale-constant", "::kvq::Float32Option", "100.0f", "What compute_scales divides v by">,
    NameOption<"scales", "scales", "ScalesMode", "Fold", "Whether scales become constants">,
  ];
  let dependentDialects = ["::kvq::KvqDialect", "::mlir::gpu::GPUDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

//===----------------------------------------------------------------------===//
// Fold
//===----------------------------------------------------------------------===//

def FoldScalesPass : Pass<"kvq-fold-scales"> {
  let summary = "Turns scales into constants and proves the arithmetic for them";
  let description = [{
    Replaces every `kvq.scale` with its value and decides, for every op that
    quantises or dequantises with a constant scale, the cheapest arithmetic that
    gives the reference's bits for all inputs. The decision and the number of
    inputs tried are left in the op's `arithmetic` and emitted as remarks of the
    category `kvq-fold-scales`. Layers that nothing reads any more are erased.

    ```mlir
    func.func @scaled(%x: vector<8xbf16>) -> vector<8xf8E4M3FN> {
      %scale = arith.constant 5.000000e-01 : f32
      %q = kvq.quantize %x, %scale using [#kvq.arithmetic<multiply(2.0), tried 65536>]
          : vector<8xbf16> to vector<8xf8E4M3FN>
      return %q : vector<8xf8E4M3FN>
    }
    ```
  }];
  let dependentDialects = ["::kvq::KvqDialect", "::mlir::arith::ArithDialect"];
}

//===----------------------------------------------------------------------===//
// Lower
//===----------------------------------------------------------------------===//

def KernelsToHostPass : Pass<"kvq-kernels-to-host", "::mlir::ModuleOp"> {
  let summary = "Makes functions of the host out of kernels";
  let description = [{
    Moves every `gpu.func` of the module's `gpu.module`s into the module as a
    `func.func` of the same name and arguments. Cache operations in a `func.func`
    are lowered to loops over all tokens, so that one call does the whole grid.

    ```mlir
    module attributes {kvq.target = #kvq.target<chip = "host">} {
      gpu.module @kvq_kernels {
        gpu.func @nothing(%n: i64) kernel {
          gpu.return
        }
      }
    }
    ```
  }];
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

def LowerCacheOpsPass : Pass<"kvq-lower-cache-ops"> {
  let summary = "Lowers cache operations to vectors, loops and pointers";
  let description = [{
    In a `gpu.func` each thread moves one vector (or every n-th vector of a long
    row) of one token; in any other function loops do the work of all threads. The
    vector width and the mapping of threads follow from the cache's layout; a
    kernel's `known_block_size` is set to it, or has to agree. What is left are `kvq.quantize` and `kvq.dequantize` on vectors.

    ```mlir
    module attributes {kvq.target = #kvq.target<chip = "sm_90">} {}
    ```
  }];
  let dependentDialects = ["::kvq::KvqDialect", "::mlir::arith::ArithDialect",
                           "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

def LowerFP8Pass : Pass<"kvq-lower-fp8"> {
  let summary = "Lowers FP8 arithmetic to the chip's conversions or integer code";
  let description = [{
    Lowers `kvq.quantize` and `kvq.dequantize` on scalars and vectors; those on
    tensors become loops first (docs/attention.md). With the strategy `auto`, the
    default, the chip table decides for each format and direction: the chip's own
    conversion where it has one, else integer code (`soft`). `nvvm` and `rocdl`
    insist on the instructions of that backend.

    ```mlir
    module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
      func.func @quantize(%x: vector<8xbf16>, %scale: f32) -> vector<8xf8E4M3FN> {
        %q = kvq.quantize %x, %scale : vector<8xbf16> to vector<8xf8E4M3FN>
        return %q : vector<8xf8E4M3FN>
      }
    }
    ```
  }];
  let options = [
    NameOption<"strategy", "strategy", "Fp8Strategy", "Auto", "How conversions are done">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::NVVM::NVVMDialect", "::mlir::ROCDL::ROCDLDialect",
                           "::mlir::vector::VectorDialect"];
}

def VerifyLoweredPass : Pass<"kvq-verify-lowered"> {
  let summary = "Holds that no kvq op and no FP8 value is left in a kernel";
  let description = [{
    LLVM has no lowering of FP8 arithmetic of its own and aborts where one is left;
    this pass says what is left, and where, in time. `backend` (default: empty,
    any) is the backend that the module's target must have for what follows.

    ```mlir
    llvm.func @lowered(%code: i8) -> i8 {
      llvm.return %code : i8
    }
    ```
  }];
  let options = [
    Option<"backend", "backend", "std::string", "", "The backend that the module must be for">,
  ];
}

#endif // KVQ_PASSES_TD
