//===- Chips.td - Every fact about a chip, once ------------*- tablegen -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Read by `llvm-tblgen -gen-searchable-tables` for ChipInfo.cpp, and as JSON by
// the documentation and the test matrices. To add a chip, add a `def`.
//
// Sources: PTX ISA 8.x/9.x, section cvt (FP8 conversions need sm_89 and
// PTX 8.1) and section ld (256-bit vectors need sm_100 and
// PTX 8.8); AMD Instinct MI300 and
// CDNA 4 ISA and RDNA 4 ISA manuals, V_CVT_PK_FP8_F32 and its kin; where no manual
// is published (gfx1250), LLVM's features (fp8-conversion-insts) and instructions.
//
//===----------------------------------------------------------------------===//

include "llvm/TableGen/SearchableTable.td"

class Chip<string name> {
  // The name that the backend and kvqc use.
  string Name = name;
  // A case of kvq::Backend.
  string Backend = ?;
  // A comma-separated list of the LLVM target features the code needs.
  string Features = "";
  // True when `fp8` means the fnuz formats, and vLLM doubles every scale.
  bit Fnuz = 0;
  // Formats with a native conversion from two f32 values, and to f32 or f16
  // values, one bit a case of kvq::Fp8Format (E4M3FN 1, E4M3FNUZ 2, E5M2 4,
  // E5M2FNUZ 8).
  bits<4> NativeStore = 0;
  bits<4> NativeLoad = 0;
  // Conversions between FP8 and pairs of 16-bit values, a case of
  // kvq::PackedConversions.
  string PackedConversions = "None";
  // Whether one instruction multiplies two bf16 values (two f16 values: every
  // GPU), multiplies two f32 values, rounds an f32 value to bf16, rounds two f32
  // values to f16, and clamps without losing a NaN.
  bit MultipliesBF16Pairs = 0;
  bit MultipliesF32Pairs = 0;
  bit RoundsToBF16 = 0;
  bit RoundsF16Pairs = 0;
  bit ClampsNaN = 0;
  // Threads that execute together.
  bits<8> WaveSize = ?;
  // The widest access of one thread to global memory, in bytes, and the LLVM
  // target features that accesses of more than 16 bytes need beside the others.
  bits<8> MaxAccessBytes = 16;
  string WideFeatures = "";
  // The vendor's name of the family, for documentation.
  string Family = ?;
}

class NvidiaChip<string name, string family, string features> : Chip<name> {
  let Backend = "NVVM";
  let Features = features;
  let WaveSize = 32;
  let Family = family;
  let RoundsF16Pairs = 1;
}

// fma.rn.bf16x2 and cvt.rn.bf16x2.f32, from sm_80 on.
class NvidiaBF16Chip<string name, string family, string features>
    : NvidiaChip<name, family, features> {
  let MultipliesBF16Pairs = 1;
  let RoundsToBF16 = 1;
}

// cvt.rn.satfinite.{e4m3x2,e5m2x2}.f32 and cvt.rn.f16x2.{e4m3x2,e5m2x2}.
class NvidiaFp8Chip<string name, string family, string features>
    : NvidiaBF16Chip<name, family, features> {
  let NativeStore = 0b0101;
  let NativeLoad = 0b0101;
  let PackedConversions = "Halves";
}

// ld.global.v8.b32 and st.global.v8.b32, from sm_100 on and PTX 8.8.
class NvidiaWideChip<string name, string family, string features>
    : NvidiaFp8Chip<name, family, features> {
  let MaxAccessBytes = 32;
  let WideFeatures = "+ptx88";
}

class AmdChip<string name, string family, int wave> : Chip<name> {
  let Backend = "ROCDL";
  let WaveSize = wave;
  let Family = family;
}

// v_cvt_pk_{fp8,bf8}_f32 and v_cvt_pk_f32_{fp8,bf8} on the OCP formats.
class AmdOcpChip<string name, string family, int wave> : AmdChip<name, family, wave> {
  let NativeStore = 0b0101;
  let NativeLoad = 0b0101;
}

// The same instructions, working on the fnuz formats.
class AmdFnuzChip<string name, string family, int wave> : AmdChip<name, family, wave> {
  let Fnuz = 1;
  let NativeStore = 0b1010;
  let NativeLoad = 0b1010;
}

// NVIDIA: every chip from sm_75 on that LLVM and ptxas know, each with the first
// PTX version that has it, and FP8 conversions 8.1. Not here: sm_101, which CUDA
// 13 calls sm_110, and the forms `a` and `f`, whose code runs on one family only.
def SM75 : NvidiaChip<"sm_75", "Turing", "+ptx63">;
def SM80 : NvidiaBF16Chip<"sm_80", "Ampere", "+ptx70">;
def SM86 : NvidiaBF16Chip<"sm_86", "Ampere", "+ptx71">;
def SM87 : NvidiaBF16Chip<"sm_87", "Ampere", "+ptx74">;
def SM88 : NvidiaBF16Chip<"sm_88", "Ampere", "+ptx90">;
def SM89 : NvidiaFp8Chip<"sm_89", "Ada", "+ptx81">;
def SM90 : NvidiaFp8Chip<"sm_90", "Hopper", "+ptx81">;
def SM100 : NvidiaWideChip<"sm_100", "Blackwell", "+ptx86"> { let MultipliesF32Pairs = 1; }
def SM103 : NvidiaWideChip<"sm_103", "Blackwell", "+ptx88"> { let MultipliesF32Pairs = 1; }
def SM110 : NvidiaWideChip<"sm_110", "Blackwell", "+ptx90"> { let MultipliesF32Pairs = 1; }
def SM120 : NvidiaWideChip<"sm_120", "Blackwell", "+ptx87">;
def SM121 : NvidiaWideChip<"sm_121", "Blackwell", "+ptx88">;

// AMD: every chip from gfx908 on that LLVM knows. Not here: LLVM's generic targets
// (gfx9-4-generic and others), which need code object version 6.
def GFX908 : AmdChip<"gfx908", "CDNA 1", 64>;
def GFX909 : AmdChip<"gfx909", "Vega", 64>;
def GFX90A : AmdChip<"gfx90a", "CDNA 2", 64> { let MultipliesF32Pairs = 1; }
def GFX90C : AmdChip<"gfx90c", "Vega", 64>;
def GFX942 : AmdFnuzChip<"gfx942", "CDNA 3", 64> { let MultipliesF32Pairs = 1; }
def GFX950 : AmdOcpChip<"gfx950", "CDNA 4", 64> {
  let PackedConversions = "ScaledPairs";
  let MultipliesF32Pairs = 1;
  let RoundsToBF16 = 1;
  let RoundsF16Pairs = 1;
  let ClampsNaN = 1;
}
foreach number = [1010, 1011, 1012, 1013] in
  def GFX # number : AmdChip<"gfx" # number, "RDNA 1", 32>;
foreach number = [1030, 1031, 1032, 1033, 1034, 1035, 1036] in
  def GFX # number : AmdChip<"gfx" # number, "RDNA 2", 32>;
foreach number = [1100, 1101, 1102, 1103] in
  def GFX # number : AmdChip<"gfx" # number, "RDNA 3", 32>;
foreach number = [1150, 1151, 1152, 1153] in
  def GFX # number : AmdChip<"gfx" # number, "RDNA 3.5", 32>;
foreach number = [1200, 1201] in
  def GFX # number : AmdOcpChip<"gfx" # number, "RDNA 4", 32> { let ClampsNaN = 1; }
foreach number = [1250, 1251] in
  def GFX # number : AmdOcpChip<"gfx" # number, "GFX 12.5", 32> {
  let PackedConversions = "ScaledEights";
  let MultipliesBF16Pairs = 1;
  let MultipliesF32Pairs = 1;
  let RoundsToBF16 = 1;
  let RoundsF16Pairs = 1;
  let ClampsNaN = 1;
}

// This machine's architecture at a fixed baseline (see lib/Serialize).
def HOST : Chip<"host"> {
  let Backend = "Host";
  let WaveSize = 1;
  let Family = "CPU";
  let Features = "x86-64-v3";
  let MaxAccessBytes = 32;
}

def ChipTable : GenericTable {
  let FilterClass = "Chip";
  let CppTypeName = "ChipRow";
  let Fields = ["Name", "Backend", "Features", "Fnuz", "NativeStore", "NativeLoad", "WaveSize",
                "MaxAccessBytes", "WideFeatures", "Family", "PackedConversions", "MultipliesBF16Pairs",
                "MultipliesF32Pairs", "RoundsToBF16", "RoundsF16Pairs", "ClampsNaN"];
}
