"""Holds the sources to the order of the libraries: by what they include, and by what CMake links."""

import re

from libraries import FREE_HEADERS, HEAVY_HEADERS, MAX_HEAVY_SOURCES, WITHOUT_LLVM, WITHOUT_MLIR, allowed

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def library_of_include(path):
    """The library that an include path `kvq/Name/File.h` belongs to; "" for `kvq/File.h`."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else ""


def sources(source_dir):
    """(path relative to the root, library, text) of every C++ source and header of the libraries."""
    for root in ("include/kvq", "lib"):
        for path in sorted((source_dir / root).rglob("*")):
            if path.suffix in (".h", ".cpp", ".def", ".inc"):
                parts = path.relative_to(source_dir / root).parts
                yield path.relative_to(source_dir), parts[0] if len(parts) > 1 else "", path.read_text()


def edges(source_dir):
    """(file, library, library used) of each include of another library."""
    for path, library, text in sources(source_dir):
        for include in INCLUDE.findall(text):
            if include.startswith("kvq/") and include not in FREE_HEADERS:
                yield path, library, library_of_include(include)


def test_every_folder_has_its_place(source_dir):
    known = set(allowed())
    folders = {path.name for root in ("include/kvq", "lib") for path in (source_dir / root).iterdir() if path.is_dir()}
    assert folders <= known, f"folders without a place in test/Style/libraries.py: {sorted(folders - known)}"


def test_includes_follow_the_order(source_dir):
    table = allowed()
    wrong = [f"{path}: '{library}' may not include '{used}'" for path, library, used in edges(source_dir) if used not in table.get(library, set())]
    assert not wrong, "\n".join(wrong)


def test_the_check_sees_a_wrong_edge():
    assert "Lower" not in allowed()["Dialect"]
    assert "Import" not in allowed()["Resolve"]
    assert "Support" not in allowed()["Artefact"]
    assert library_of_include("kvq/Lower/Fp8.h") == "Lower"
    assert library_of_include("kvq/Passes.h") == ""


def test_links_follow_the_order(source_dir):
    wrong = []
    for library in allowed():
        lists = source_dir / "lib" / library / "CMakeLists.txt"
        if library and lists.exists():
            used = set(re.findall(r"\bkvq(?:::)?([A-Z]\w*)\b", re.sub(r"#.*", "", lists.read_text())))
            wrong += [f"lib/{library} may not link '{name}'" for name in sorted(used & set(allowed()) - allowed()[library])]
    assert not wrong, "\n".join(wrong)


def test_layers_without_mlir_and_llvm(source_dir):
    wrong = []
    for path, library, text in sources(source_dir):
        for include in INCLUDE.findall(text):
            if (library in WITHOUT_MLIR and include.startswith("mlir/")) or (library in WITHOUT_LLVM and include.startswith("llvm/")):
                wrong.append(f"{path}: includes '{include}'")
    assert not wrong, "\n".join(wrong)


def test_free_headers_need_only_the_standard_library(source_dir):
    wrong = [
        f"{name}: includes '{include}'"
        for name in sorted(FREE_HEADERS)
        for include in INCLUDE.findall((source_dir / "include" / name).read_text())
        if "/" in include
    ]
    assert not wrong, "\n".join(wrong)


def test_heavy_headers_stay_in_few_sources(source_dir):
    heavy = {str(path) for path, _, text in sources(source_dir) for include in INCLUDE.findall(text) if include in HEAVY_HEADERS}
    headers = sorted(path for path in heavy if not path.endswith(".cpp"))
    assert not headers, f"heavy MLIR headers in headers: {headers}"
    assert len(heavy) <= MAX_HEAVY_SOURCES, f"heavy MLIR headers in more than {MAX_HEAVY_SOURCES} sources: {sorted(heavy)}"
