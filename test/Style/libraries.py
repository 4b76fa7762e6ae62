"""The order of kvq's libraries: which may include and link which. test_libraries.py holds the sources to it."""

# In the data's order, a row of peers each; a library uses those of the rows above it, never a peer. "" stands for the files of include/kvq itself
# (the list of passes), which the rows from there on share.
ORDER = [
    ["Json"],
    ["Support"],
    ["Target", "Numerics", "Checkpoint"],
    ["Dialect", ""],
    ["Import", "Resolve", "Generate", "Fold", "Lower"],
    ["Pipelines"],
    ["Serialize"],
    ["Driver"],
]

# Beside them, without LLVM; the driver writes artefacts, the runtime reads them.
BESIDE = {"Artefact": {"Json"}, "Runtime": {"Artefact", "Json"}}

# Headers that any library may include: they need nothing but the standard library.
FREE_HEADERS = {"kvq/Support/Float32Format.h"}

# Libraries that speak no MLIR, and those without LLVM too.
WITHOUT_MLIR = {"Json", "Support", "Target", "Numerics", "Checkpoint", "Artefact", "Runtime"}
WITHOUT_LLVM = {"Json", "Artefact", "Runtime"}

# These cost seconds of compile time each: never in a header, and in eight sources at most.
HEAVY_HEADERS = [
    "mlir/Dialect/LLVMIR/NVVMDialect.h",
    "mlir/Dialect/LLVMIR/ROCDLDialect.h",
    "mlir/Conversion/Passes.h",
    "mlir/InitAllDialects.h",
    "mlir/InitAllExtensions.h",
    "mlir/InitAllPasses.h",
    "mlir/InitAllTranslations.h",
]
MAX_HEAVY_SOURCES = 8


def allowed():
    """For each library the set of libraries that it may use, itself included."""
    table, above = {}, set()
    for row in ORDER:
        for library in row:
            table[library] = above | {library}
        above |= set(row)
    for row in ORDER[3:]:
        for library in row:
            table[library].add("")
    for library, used in BESIDE.items():
        table[library] = used | {library}
    table["Driver"] |= {"Artefact"}
    return table
