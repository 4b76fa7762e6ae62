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
// PTX 8.1) and section ld (256-bit vectors need sm_100); AMD Instinct MI300 and
// CDNA 4 ISA and RDNA 4 ISA manuals, V_CVT_PK_FP8_F32 and its kin.
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
  // Threads that execute together.
  bits<8> WaveSize = ?;
  // The widest access of one thread to global memory, in bytes.
  bits<8> MaxAccessBytes = 16;
  // The vendor's name of the family, for documentation.
  string Family = ?;
}

class NvidiaChip<string name, string family> : Chip<name> {
  let Backend = "NVVM";
  let WaveSize = 32;
  let Family = family;
}

// cvt.rn.satfinite.{e4m3x2,e5m2x2}.f32 and cvt.rn.f16x2.{e4m3x2,e5m2x2}.
class NvidiaFp8Chip<string name, string family> : NvidiaChip<name, family> {
  let NativeStore = 0b0101;
  let NativeLoad = 0b0101;
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

def SM80 : NvidiaChip<"sm_80", "Ampere"> { let Features = "+ptx70"; }
def SM86 : NvidiaChip<"sm_86", "Ampere"> { let Features = "+ptx71"; }
def SM87 : NvidiaChip<"sm_87", "Ampere"> { let Features = "+ptx74"; }
def SM89 : NvidiaFp8Chip<"sm_89", "Ada"> { let Features = "+ptx81"; }
def SM90 : NvidiaFp8Chip<"sm_90", "Hopper"> { let Features = "+ptx81"; }
def SM100 : NvidiaFp8Chip<"sm_100", "Blackwell"> { let Features = "+ptx86"; let MaxAccessBytes = 32; }
def SM103 : NvidiaFp8Chip<"sm_103", "Blackwell"> { let Features = "+ptx88"; let MaxAccessBytes = 32; }
def SM120 : NvidiaFp8Chip<"sm_120", "Blackwell"> { let Features = "+ptx87"; }
def SM121 : NvidiaFp8Chip<"sm_121", "Blackwell"> { let Features = "+ptx88"; }

def GFX90A : AmdChip<"gfx90a", "CDNA 2", 64>;
// The same instructions as on OCP chips, working on the fnuz formats.
def GFX942 : AmdChip<"gfx942", "CDNA 3", 64> {
  let Fnuz = 1;
  let NativeStore = 0b1010;
  let NativeLoad = 0b1010;
}
def GFX950 : AmdOcpChip<"gfx950", "CDNA 4", 64>;
def GFX1100 : AmdChip<"gfx1100", "RDNA 3", 32>;
def GFX1101 : AmdChip<"gfx1101", "RDNA 3", 32>;
def GFX1200 : AmdOcpChip<"gfx1200", "RDNA 4", 32>;
def GFX1201 : AmdOcpChip<"gfx1201", "RDNA 4", 32>;

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
                "MaxAccessBytes", "Family"];
}
