"""The runtime's shared library: small, on its own, and nothing but the C interface; and its header, in C, beside an artefact's."""

import os
import re
import shutil
import subprocess

import pytest

LIMIT = 500_000


@pytest.fixture(scope="module")
def library(build_dir):
    path = build_dir / "lib" / "libkvq_runtime.so"
    if not path.exists():
        pytest.skip("libkvq_runtime.so is not there")
    return path


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def declared_functions(source_dir):
    """The functions that the header declares."""
    text = (source_dir / "include/kvq/Runtime/kvq_runtime.h").read_text()
    return set(re.findall(r"^KVQ_API .*?(kvq_\w+)\(", text, re.MULTILINE))


def test_stripped_it_is_small(library, llvm_tools_dir, tmp_path):
    if "ASAN_OPTIONS" in os.environ:
        pytest.skip("instrumented code is larger")
    run(llvm_tools_dir / "llvm-strip", library, "-o", tmp_path / "stripped.so")
    size = (tmp_path / "stripped.so").stat().st_size
    assert 50_000 < size < LIMIT


def test_it_needs_libraries_of_the_system_alone(library, llvm_tools_dir):
    dynamic = run(llvm_tools_dir / "llvm-readelf", "-d", library)
    needed = re.findall(r"\(NEEDED\).*\[(.+?)\]", dynamic)
    assert needed
    known = re.compile(r"(libcrypto|libstdc\+\+|libm|libgcc_s|libc|libpthread|libdl|libclang_rt\.\w+|ld-linux-[\w-]+)\.so(\.\d+)*")
    assert [name for name in needed if not known.fullmatch(name)] == []
    assert re.search(r"\(SONAME\).*\[libkvq_runtime\.so\.1\]", dynamic)


def test_it_exports_what_the_header_declares(library, llvm_tools_dir, source_dir):
    symbols = run(llvm_tools_dir / "llvm-nm", "-D", "--defined-only", "--format=just-symbols", library).split()
    declared = declared_functions(source_dir)
    assert len(declared) > 10
    assert set(symbols) == declared


def test_nothing_of_llvm_is_inside(library):
    text = library.read_bytes()
    assert b"_ZN4llvm" not in text and b"_ZN4mlir" not in text


def compiler():
    found = next((name for name in ("clang-22", "gcc", "cc") if shutil.which(name)), None)
    return found or pytest.skip("no C compiler")


PROGRAM = r"""
#include "kvq_kernels.h"
#include "kvq/Runtime/kvq_runtime.h"
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  kvq_open_options options = {sizeof(options), KVQ_DEVICE_HOST, KVQ_CURRENT_DEVICE, 0, NULL};
  kvq_artefact *artefact;
  const kvq_kernel *store, *load;
  kvq_error error;
  const char *layer = kvq_host_layers[0].name;
  if (kvq_open(argv[argc - 1], &options, &artefact, &error) ||
      kvq_kernel_find(artefact, layer, "store", NULL, &store, &error) ||
      kvq_kernel_find(artefact, layer, "load", NULL, &load, &error)) {
    fprintf(stderr, "error: %s\n", error.message);
    return 1;
  }
  static uint16_t key[8 * 128], value[8 * 128], key_back[8 * 128], value_back[8 * 128];
  static uint8_t key_cache[2 * 16 * 8 * 128], value_cache[2 * 16 * 8 * 128];
  const int64_t slot = 21;
  key[5] = 0x3f80;   /* 1 */
  value[7] = 0xbf80; /* -1 */
  STRUCT args = {key, value, key_cache, value_cache, (void *)&slot, 1, 2, 1024, 1024,
                 16384, 1024, 128, 16384, 1024, 128};
  kvq_value values[sizeof(args) / sizeof(kvq_value)];
  memcpy(values, &args, sizeof(args));
  if (kvq_kernel_launch(store, values, sizeof(args) / sizeof(kvq_value), NULL, &error)) {
    fprintf(stderr, "error: %s\n", error.message);
    return 1;
  }
  values[0].ptr = key_back;
  values[1].ptr = value_back;
  if (kvq_kernel_launch(load, values, sizeof(args) / sizeof(kvq_value), NULL, &error)) {
    fprintf(stderr, "error: %s\n", error.message);
    return 1;
  }
  printf("%02x %02x %04x %04x\n", key_cache[21 * 1024 + 5], value_cache[21 * 1024 + 7], key_back[5], value_back[7]);
  kvq_close(artefact);
  return 0;
}
"""


@pytest.mark.parametrize("language", ["c99", "c++17"])
def test_header_serves_c_beside_the_artefact_s(language, library, source_dir, kvqc, checkpoints_dir, tmp_path):
    if "ASAN_OPTIONS" in os.environ:
        pytest.skip("the instrumented library wants an instrumented program")
    run(kvqc, "compile", checkpoints_dir / "llama-ct", "-o", tmp_path / "kernels")
    header = (tmp_path / "kernels" / "kvq_kernels.h").read_text()
    struct = re.search(r"\bhost_kvq_store\w+_args\b", header).group()
    source = tmp_path / "program.c"
    source.write_text(PROGRAM.replace("STRUCT", struct))
    program = tmp_path / "program"
    c = "c" if language == "c99" else "c++"
    flags = [f"-std={language}", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-unused-const-variable", "-Wno-unused-variable"]
    libraries = ["-L", library.parent, "-lkvq_runtime", f"-Wl,-rpath,{library.parent}"]
    run(compiler(), "-x", c, *flags, "-I", source_dir / "include", "-I", tmp_path / "kernels", source, "-o", program, *libraries)
    # The layer's scales are 0.0234375 and 0.03125: 1 and -1 are 42.67 and -32 of them, of which E4M3 has 44 and -32, and back 1.03125 and -1.
    assert run(program, tmp_path / "kernels") == "63 e0 3f84 bf80\n"


def test_the_page_s_program_compiles(source_dir, tmp_path):
    (text,) = re.findall(r"^```cpp\n(.*?)^```", (source_dir / "docs" / "runtime.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "page.cpp").write_text(text)
    run(compiler(), "-x", "c++", "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", source_dir / "include", tmp_path / "page.cpp")


def test_the_page_lists_every_status(source_dir):
    header = (source_dir / "include/kvq/Runtime/kvq_runtime.h").read_text()
    page = (source_dir / "docs" / "runtime.md").read_text()
    declared = set(re.findall(r"^  (KVQ_ERROR_\w+) =", header, re.MULTILINE))
    assert len(declared) == 8
    assert set(re.findall(r"^\| `(KVQ_ERROR_\w+)`", page, re.MULTILINE)) == declared
