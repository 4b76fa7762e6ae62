"""kvqc show, verify and diff: what they say of artefacts, right ones and spoilt ones."""

import os
import re
import subprocess

import pytest
from artefacts import compiled, copy_of, replace, rewrite
from driver import CHECKPOINTS, Run, checkpoint, f32, layer, model, scales
from manifests import manifest_of, size_of

TARGETS = ["host", "sm_90", "gfx942"]


@pytest.fixture(scope="module")
def artefact(kvqc, tmp_path_factory):
    """An artefact that no test changes."""
    return compiled(kvqc, CHECKPOINTS / "llama-ct", tmp_path_factory.mktemp("artefact") / "out", "--target", ",".join(TARGETS))


@pytest.fixture
def spoilt(artefact, tmp_path):
    """A copy of it to change."""
    return copy_of(artefact, tmp_path / "copy")


# What show prints.


def test_show_says_what_is_inside(kvqc, artefact):
    text = Run(kvqc, "show", artefact).succeeds().stdout
    manifest = manifest_of(artefact)
    assert text.startswith(
        f"{manifest['producer']}, checkpoint compressed-tensors (llama), SHA-256 of what was read {manifest['checkpoint']['sha256']}\n"
    )
    for target in manifest["targets"]:
        for kind, name in target["files"].items():
            size = os.path.getsize(artefact / name)
            assert re.search(rf"^{re.escape(name)} +{kind} +{size} +{manifest['sha256'][name]}  ok$", text, re.MULTILINE), name
    for kernel in manifest["kernels"]:
        assert re.search(rf"^{kernel['target']} +{kernel['op']} +nhd .* {kernel['symbol']}$", text, re.MULTILINE)
    for entry in manifest["layers"]:
        for target, resolved in entry["scales"].items():
            numbers = " +".join(re.escape(str(resolved[name])) for name in ("q", "k", "v", "prob"))
            assert re.search(rf"^{entry['index']} +{re.escape(entry['name'])} +{target} +{numbers} +store, load$", text, re.MULTILINE)
    assert "[ceil_div(num_tokens, 2), 1, 1]" in text
    for warning in manifest["warnings"] + manifest["notes"]:
        assert f"  {warning}\n" in text


@pytest.mark.parametrize(
    "source, arguments",
    [
        ("llama-ct", ["--target", "host,sm_90,gfx942", "--save-temps"]),
        ("llama-modelopt", ["--ops", "store,load,gather,convert,rescale,quantize_query,quantize_prob,compute_scales", "--layout", "paged"]),
        ("deepseek-mla", ["--target", "gfx942", "--layout", "mla", "--scales", "argument", "--bounds", "count"]),
        ("llama-noscales", ["--calculate-kv-scales", "--slot-type", "i32", "--padding-slot", "3"]),
        ("llama-ct", ["--kv-cache-dtype", "auto"]),
        ("llama-ct", ["--target", "host,sm_90,gfx942", "--scales", "both", "--align", "16,4"]),
    ],
)
def test_what_was_read_is_what_was_written(kvqc, tmp_path, source, arguments):
    """From text to structs to text again, nothing is lost; and what compile makes, verify takes."""
    out = compiled(kvqc, CHECKPOINTS / source, tmp_path / "out", *arguments)
    assert Run(kvqc, "show", out, "--format", "json").succeeds().stdout == (out / "manifest.json").read_text()
    Run(kvqc, "verify", out).succeeds()


def test_show_names_bounds_and_variants(kvqc, tmp_path):
    out = compiled(kvqc, model(tmp_path, layer()), tmp_path / "out", "--ops", "store,convert", "--bounds", "count", "--scales", "both")
    text = Run(kvqc, "show", out).succeeds().stdout
    assert re.search(r"^host +store .* 16 +count +k 0\.023 by ", text, re.MULTILINE)
    assert re.search(r"^host +convert .* 16 +- +k argument, v argument ", text, re.MULTILINE)
    assert re.search(r"^0 +layers\.0 .* store, convert, store dynamic, convert dynamic$", text, re.MULTILINE)


def test_names_with_odd_characters_stay_on_their_lines(kvqc, tmp_path):
    out = compiled(kvqc, model(tmp_path, layer()), tmp_path / "out")
    rewrite(out, lambda manifest: manifest["layers"][0].update(name="a\u001b[31m\nb"))
    text = Run(kvqc, "show", out).succeeds().stdout
    assert "a\\x1b[31m\\x0ab" in text and "\x1b" not in text


def test_show_goes_on_past_a_wrong_file(kvqc, spoilt):
    (spoilt / "host.so").write_bytes(b"x")
    (spoilt / "sm_90.ptx").unlink()
    run = Run(kvqc, "show", spoilt)
    assert run.status == 1 and re.search(r"^host.so .* -  +[0-9a-f]{64}  wrong$", run.stdout, re.MULTILINE)
    errors = run.stderr.splitlines()
    assert len(errors) == 2 and all(line.startswith("error: ") for line in errors)
    assert "host.so: expected the SHA-256" in errors[0] and "sm_90.ptx: cannot open" in errors[1]


# What verify checks.


def test_verify_counts_what_it_did(kvqc, artefact):
    text = Run(kvqc, "verify", artefact).succeeds().stdout
    lines = text.splitlines()
    size = sum(path.stat().st_size for path in artefact.iterdir() if path.name != "manifest.json")
    assert lines[0] == f"5 files, {size} bytes: every SHA-256 is right"
    assert lines[1:4] == ["host: 8 kernels in shared_object", "sm_90: 8 kernels in ptx, cubin", "gfx942: 8 kernels in hsaco"]
    # K and V, four layers: all 65,536 values at least and all 256 codes.
    count = re.fullmatch(r"8 host kernels run: (\d+) values, 0 differences from the reference", lines[4])
    assert count and int(count[1]) >= 4 * 2 * (65536 + 256) and len(lines) == 5
    assert Run(kvqc, "verify", artefact, "--no-run").succeeds().stdout.splitlines() == [*lines[:4], "no kernel was run"]


def test_verify_sees_another_scale_in_the_code(kvqc, spoilt):
    """The kernels of one artefact under the manifest of another."""

    def change(manifest):
        for kernel in manifest["kernels"]:
            kernel["scales"]["k"]["value"] *= 1.001

    rewrite(spoilt, change)
    run = Run(kvqc, "verify", spoilt)
    run.fails("host.so: kernel 'kvq_store_nhd", "the bits 0x", "expected 0x")
    Run(kvqc, "verify", spoilt, "--no-run").succeeds()


def test_verify_sees_code_of_another_chip(kvqc, spoilt, tmp_path):
    other = compiled(kvqc, CHECKPOINTS / "llama-ct", tmp_path / "other", "--target", "sm_89,gfx950")
    for name, source in (("sm_90.ptx", "sm_89.ptx"), ("sm_90.cubin", "sm_89.cubin"), ("gfx942.hsaco", "gfx950.hsaco")):
        if not (other / source).exists() or not (spoilt / name).exists():
            continue
        before = (spoilt / name).read_bytes()
        replace(spoilt, name, (other / source).read_bytes())
        Run(kvqc, "verify", spoilt).fails(name, f"expected code for '{name.split('.')[0]}', but got '{source.split('.')[0]}'")
        replace(spoilt, name, before)
    Run(kvqc, "verify", spoilt).succeeds()


def test_verify_sees_missing_kernels(kvqc, spoilt, tmp_path):
    store = compiled(kvqc, CHECKPOINTS / "llama-ct", tmp_path / "store", "--target", ",".join(TARGETS), "--ops", "store")
    for name in ("sm_90.ptx", "sm_90.cubin", "gfx942.hsaco", "host.so"):
        if not (store / name).exists():
            continue
        before = (spoilt / name).read_bytes()
        replace(spoilt, name, (store / name).read_bytes())
        Run(kvqc, "verify", spoilt).fails(name, "expected the kernel 'kvq_load_", "but there is none")
        replace(spoilt, name, before)


@pytest.mark.parametrize("name", ["sm_90.ptx", "sm_90.cubin", "gfx942.hsaco"])
def test_verify_sees_other_arguments(kvqc, spoilt, name):
    """Each sort of code object by itself tells what its kernels take."""
    if not (spoilt / name).exists():
        pytest.skip(f"no {name}")

    def leave_one(manifest):
        for target in manifest["targets"]:
            target["files"] = {kind: file for kind, file in target["files"].items() if file == name}
        manifest["targets"] = [target for target in manifest["targets"] if target["files"]]
        chip = manifest["targets"][0]["target"]
        manifest["kernels"] = [kernel for kernel in manifest["kernels"] if kernel["target"] == chip]
        for entry in manifest["layers"]:
            for key in ("scales", "calculate_kv_scales", "kernels", "warnings", "notes"):
                entry[key] = {chip: entry[key][chip]}
        manifest["sha256"] = {file: digest for file, digest in manifest["sha256"].items() if file in (name, "kvq_kernels.h")}
        # The header speaks of the arguments too: as if another compiler had made the artefact.
        manifest["producer"] = "kvq 0.0.1"

    def drop(manifest):
        for kernel in manifest["kernels"]:
            kernel["args"].pop()

    def narrow(manifest):
        for kernel in manifest["kernels"]:
            kernel["args"][-1] = {"name": "value_head_stride", "type": "i32"}

    def widen(manifest):
        for kernel in manifest["kernels"]:
            kernel["block"] = [1024, 1, 1]

    for path in spoilt.iterdir():
        if path.name not in (name, "kvq_kernels.h", "manifest.json"):
            path.unlink()
    rewrite(spoilt, leave_one)
    Run(kvqc, "verify", spoilt).succeeds()
    for change, words in ((drop, "expected 14 arguments, but it has 15"), (narrow, "expected 4 bytes for"), (widen, "threads")):
        text = (spoilt / "manifest.json").read_text()
        rewrite(spoilt, change)
        Run(kvqc, "verify", spoilt, "--no-run").fails(name, words)
        (spoilt / "manifest.json").write_text(text)


def test_verify_sees_another_header_and_other_files(kvqc, spoilt):
    header = (spoilt / "kvq_kernels.h").read_bytes()
    replace(spoilt, "kvq_kernels.h", header.replace(b"q_scale", b"p_scale"))
    Run(kvqc, "verify", spoilt).fails("kvq_kernels.h", "the header of this manifest")
    replace(spoilt, "kvq_kernels.h", header)
    (spoilt / ".hidden").write_text("")
    Run(kvqc, "verify", spoilt).fails(".hidden: expected only files that the manifest names")


@pytest.mark.parametrize("name", ["sm_90.ptx", "sm_90.cubin", "gfx942.hsaco", "host.so"])
def test_cut_and_damaged_code_objects(kvqc, spoilt, name):
    """With a hash that agrees: whatever is in the file is one error or none, and no crash."""
    if not (spoilt / name).exists():
        pytest.skip(f"no {name}")
    whole = (spoilt / name).read_bytes()
    # From half on the symbols, the metadata or the sections' table are gone.
    for length in (0, 3, 4, 16, 63, 64, len(whole) // 8, len(whole) // 2):
        replace(spoilt, name, whole[:length])
        Run(kvqc, "verify", spoilt).fails(name)
    for place in [*range(4, 64, 5), *range(64, len(whole), len(whole) // 12)]:
        replace(spoilt, name, whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        run = Run(kvqc, "verify", spoilt, "--no-run")
        run.succeeds() if run.status == 0 else run.fails(name)


# What diff says.


def test_equal_artefacts(kvqc, artefact, spoilt):
    run = Run(kvqc, "diff", artefact, spoilt).succeeds()
    assert run.stdout == ""


def differences(kvqc, before, after):
    run = Run(kvqc, "diff", before, after)
    assert run.status == 1 and run.stderr == "", run.stderr
    return run.stdout.splitlines()


def test_diff_names_layer_scale_and_kernel(kvqc, tmp_path):
    before = compiled(kvqc, model(tmp_path, layer(0), layer(1)), tmp_path / "a")
    after = compiled(kvqc, model(tmp_path, layer(0), layer(1, scales="checkpoint(k = 0.5, v = 0.031)")), tmp_path / "b")
    lines = differences(kvqc, before, after)
    assert "layer layers.1: host: k 0.023 -> 0.5" in lines
    olds, news = ({kernel["op"]: kernel["symbol"] for kernel in manifest_of(folder)["kernels"][-2:]} for folder in (before, after))
    for op in ("store", "load"):
        assert f"layer layers.1: host: {op} {olds[op]} -> {news[op]}" in lines
        assert f"kernel host: {news[op]}: only in the second" in lines
    assert "file host.so: other bytes" in lines and "file kvq_kernels.h: other bytes" in lines
    # The scale is none of the other layer's business, nor V's.
    assert not any(line.startswith("layer layers.0") or " v " in line for line in lines if line.startswith("layer"))
    assert [line for line in lines if line.startswith("artefact")] == [
        f"artefact: checkpoint sha256 {manifest_of(before)['checkpoint']['sha256']} -> {manifest_of(after)['checkpoint']['sha256']}"
    ]


def test_diff_names_targets_layers_and_grids(kvqc, tmp_path):
    before = compiled(kvqc, model(tmp_path, layer(0), layer(1)), tmp_path / "a", "--target", "host,sm_90")
    after = compiled(kvqc, model(tmp_path, layer(0), layer(2)), tmp_path / "b", "--target", "host,gfx942")
    lines = differences(kvqc, before, after)
    for line in (
        "target sm_90: only in the first",
        "target gfx942: only in the second",
        "layer layers.1: only in the first",
        "layer layers.2: only in the second",
        "file sm_90.ptx: only in the first",
    ):
        assert line in lines
    other = copy_of(before, tmp_path / "c")
    rewrite(other, lambda manifest: manifest["kernels"][-1].update(grid=["num_tokens", 1, 1]))
    assert differences(kvqc, before, other) == [
        f"kernel sm_90: {manifest_of(before)['kernels'][-1]['symbol']}: grid [ceil_div(num_tokens, 2), 1, 1] -> [num_tokens, 1, 1]"
    ]


def test_diff_names_bounds_and_variants(kvqc, artefact, spoilt, tmp_path):
    symbol = manifest_of(spoilt)["kernels"][0]["symbol"]
    rewrite(spoilt, lambda manifest: manifest["kernels"][0].update(bounds="off"))
    assert differences(kvqc, artefact, spoilt) == [f"kernel host: {symbol}: bounds check -> off"]
    both = compiled(kvqc, CHECKPOINTS / "llama-ct", tmp_path / "both", "--target", ",".join(TARGETS), "--scales", "both", "--align", "16,4")
    lines = differences(kvqc, artefact, both)
    for target, names in (("host", ["dynamic"]), ("sm_90", ["align4", "align4_dynamic", "dynamic"])):
        for name in names:
            assert f"layer model.layers.0.self_attn: {target}: load {name}: only in the second" in lines
    # What there was is as it was.
    assert not any("only in the first" in line for line in lines)
    assert {line.split(": ")[0] for line in lines if " -> " in line} <= {"file"}


def test_diff_sees_order(kvqc, artefact, spoilt):
    rewrite(spoilt, lambda manifest: manifest["kernels"].reverse())
    assert differences(kvqc, artefact, spoilt) == ["artefact: another order of targets, layers, kernels or texts"]


# Artefacts that lie.


def set_field(*path):
    *path, value = path

    def change(folder):
        def work(manifest):
            place = manifest
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value

        rewrite(folder, work)

    return change


def leave_folder(name):
    def change(folder):
        (folder.parent / "outside").write_bytes((folder / "host.so").read_bytes())
        set_field("targets", 0, "files", "shared_object", name)(folder)
        rewrite(folder, lambda manifest: manifest["sha256"].update({name: manifest["sha256"]["host.so"]}))

    return change


def link(name, target):
    def change(folder):
        os.rename(folder / name, folder.parent / "moved")
        (folder / name).symlink_to(target)

    return change


def replaced(name, old, new):
    def change(folder):
        content = (folder / name).read_bytes()
        assert old in content
        (folder / name).write_bytes(content.replace(old, new, 1))

    return change


HOSTILE = {
    "path-up": (leave_folder("../outside"), "targets[0].files.shared_object: expected the name of a file in the folder itself"),
    "path-absolute": (leave_folder("/etc/passwd"), "expected the name of a file in the folder itself"),
    "link": (link("host.so", "../moved"), "host.so: expected a file, but got a symbolic link"),
    "link-of-manifest": (link("manifest.json", "../moved"), "manifest.json: expected a file, but got a symbolic link"),
    "wrong-hash": (replaced("host.so", b"\0\0\0\0", b"\0\0\1\0"), "host.so: expected the SHA-256"),
    "cut": (lambda folder: os.truncate(folder / "sm_90.ptx", 1000), "sm_90.ptx: expected the SHA-256"),
    "missing": (lambda folder: os.unlink(folder / "gfx942.hsaco"), "gfx942.hsaco: cannot open the file"),
    "pipe": (lambda folder: (os.unlink(folder / "host.so"), os.mkfifo(folder / "host.so")), "host.so: expected a file, but got a device, a pipe"),
    "folder": (lambda folder: (os.unlink(folder / "host.so"), os.mkdir(folder / "host.so")), "host.so: expected a file, but got a folder"),
    "huge": (lambda folder: os.truncate(folder / "host.so", 1 << 40), "host.so: expected a file of at most"),
    "huge-manifest": (lambda folder: os.truncate(folder / "manifest.json", 1 << 40), "manifest.json: expected a file of at most"),
    "threads": (set_field("kernels", 0, "block", [2048, 1, 1]), "kernels[0].block: expected at most 1024 threads in a block"),
    "negative": (set_field("kernels", 1, "head_size", -128), "kernels[1].head_size: expected an integer from 1 to 1048576, but got -128"),
    "absurd": (set_field("kernels", 1, "num_kv_heads", 1e300), "kernels[1].num_kv_heads: expected an integer"),
    "shared": (set_field("kernels", 0, "shared_bytes", 1 << 62), "kernels[0].shared_bytes: expected"),
    "scale": (set_field("layers", 0, "scales", "host", "k", 0.0), "layers[0].scales.host.k: expected a positive finite"),
    "schema": (set_field("schema", "kvq.manifest/2"), "schema: expected 'kvq.manifest/1', the one schema that is read, but got 'kvq.manifest/2'"),
    "symbol": (set_field("layers", 0, "kernels", "host", "store", "system"), "layers[0].kernels.host.store: expected the symbol of a kernel"),
    "duplicate": (replaced("manifest.json", b'"producer"', b'"schema"'), "manifest.json: duplicate key 'schema'"),
    "no-json": (replaced("manifest.json", b"{", b"["), "manifest.json: malformed JSON"),
    "deep": (replaced("manifest.json", b'"schema"', b'"x": ' + b"[" * 100000 + b', "schema"'), "nested deeper"),
    "empty": (lambda folder: os.truncate(folder / "manifest.json", 0), "manifest.json: malformed JSON"),
    "none": (lambda folder: os.unlink(folder / "manifest.json"), "it has no 'manifest.json'"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_artefacts_are_refused(kvqc, artefact, spoilt, case):
    change, words = HOSTILE[case]
    change(spoilt)
    Run(kvqc, "verify", spoilt).fails(words, spoilt)
    Run(kvqc, "diff", artefact, spoilt).fails(words, spoilt)
    Run(kvqc, "diff", spoilt, artefact).fails(words, spoilt)
    shown = Run(kvqc, "show", spoilt)
    assert shown.status == 1 and words in shown.stderr and "Traceback" not in shown.stderr


def test_what_is_no_artefact(kvqc, artefact, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for command in (["show"], ["verify"], ["diff", artefact]):
        Run(kvqc, *command, tmp_path / "absent").fails("absent: cannot open the folder")
        Run(kvqc, *command, tmp_path / "file").fails("file: expected a folder that 'kvqc compile' wrote, but got a file")
        Run(kvqc, *command, tmp_path / "folder").fails("folder: expected a folder that 'kvqc compile' wrote")
        Run(kvqc, *command).fails("DIR, but got")
    Run(kvqc, "show", artefact, "--format", "yaml").fails("'--format'", "'yaml'")


# What compile leaves besides.


def test_resolved_modules_are_kept_on_request(kvqc, kvq_opt, tmp_path):
    out = compiled(kvqc, CHECKPOINTS / "llama-ct", tmp_path / "out", "--target", "host,gfx942", "--save-temps")
    manifest = manifest_of(out)
    for target in manifest["targets"]:
        name = f"{target['target']}.resolved.mlir"
        assert target["files"]["resolved_ir"] == name and name in manifest["sha256"]
        text = Run(kvq_opt, "--verify-roundtrip", out / name).succeeds().stdout
        assert text.count("kvq.attention") == 4 and text.count("resolved(") == 4 and f'chip = "{target["target"]}"' in text
        assert str(tmp_path) not in text
    # They are no part of what an artefact is otherwise.
    plain = compiled(kvqc, CHECKPOINTS / "llama-ct", tmp_path / "plain", "--target", "host,gfx942")
    for path in plain.iterdir():
        if path.name != "manifest.json":
            assert path.read_bytes() == (out / path.name).read_bytes()


def test_variants_in_the_header(kvqc, tmp_path):
    """A C program finds the kernels of a layer by what tells them apart."""
    out = compiled(kvqc, model(tmp_path, layer()), tmp_path / "out", "--target", "host,sm_90", "--scales", "both", "--align", "16,4")
    members = ["store", "load", "store_dynamic", "load_dynamic", "store_align4", "load_align4", "store_align4_dynamic", "load_align4_dynamic"]
    (tmp_path / "use.c").write_text(
        '#include "kvq_kernels.h"\n#include <stdio.h>\nstatic void show(const char *name) { puts(name ? name : "none"); }\nint main(void) {\n'
        + "".join(f"show(kvq_{target}_layers[0].{member});\n" for target in ("host", "sm_90") for member in members)
        + "return 0; }\n"
    )
    subprocess.run(["gcc", "-std=c99", "-Werror", f"-I{out}", tmp_path / "use.c", "-o", tmp_path / "use"], check=True)
    printed = subprocess.run([tmp_path / "use"], capture_output=True, text=True, check=True).stdout.split()
    entry, expected = manifest_of(out)["layers"][0], []
    for target in ("host", "sm_90"):
        for member in members:
            op, _, name = member.partition("_")
            expected.append(entry["variants"][target][op].get(name, "none") if name else entry["kernels"][target][op])
    # The host reads at any address: one kernel serves.
    assert printed == expected and expected.count("none") == 4


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["g++", "-std=c++11", "-x", "c++"]])
def test_geometry_of_every_operation_in_the_header(kvqc, tmp_path, compiler):
    """The header's inline functions give the manifest's grids and blocks."""
    ops = "store,load,gather,convert,rescale,quantize_query,quantize_prob,compute_scales"
    out = compiled(kvqc, model(tmp_path, layer()), tmp_path / "out", "--target", "sm_90,gfx942", "--ops", ops, "--block-size", "32")
    kernels = manifest_of(out)["kernels"]
    assert len(kernels) == 16
    lines, expected = [], []
    for kernel in kernels:
        name = f"{kernel['target']}_{kernel['symbol']}"
        lines.append(f"{{ {name}_args args; kvq_launch launch;")
        scalars = [argument["name"] for argument in kernel["args"] if argument["type"] != "ptr"]
        for base in (0, 1, 31, 32, 1000000007):
            values = {scalar: base + index for index, scalar in enumerate(scalars)}
            lines += [f"args.{scalar} = {value};" for scalar, value in values.items()]
            lines.append(f"launch = {name}_geometry(&args); show(&launch);")
            sizes = [size_of(entry, values) for entry in kernel["grid"] + kernel["block"]]
            expected.append(" ".join(map(str, [*sizes, kernel["shared_bytes"]])))
        lines.append(f"if ({name}_num_kv_heads != 8 || {name}_head_size != 128 || {name}_block_size != 32) return 1; }}")
    show = "".join(f'printf("%lld ", (long long)launch->{part}[{axis}]);' for part in ("grid", "block") for axis in range(3))
    (tmp_path / "use.c").write_text(
        '#include "kvq_kernels.h"\n#include <stdio.h>\nstatic void show(const kvq_launch *launch) { '
        + show
        + 'printf("%lld\\n", (long long)launch->shared_bytes); }\nint main(void) {\n'
        + "\n".join(lines)
        + "\nreturn 0; }\n"
    )
    subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", f"-I{out}", tmp_path / "use.c", "-o", tmp_path / "use"], check=True)
    assert subprocess.run([tmp_path / "use"], capture_output=True, text=True, check=True).stdout.splitlines() == expected


def test_the_hash_of_the_inputs_is_of_what_was_read(kvqc, tmp_path):
    """Scales, configuration and index count; weights, and where the files lie, do not."""

    def hash_of(name, k=0.5, weight=1.0, config=None, quantization=None):
        tensors = scales(k, 0.25) | {"model.layers.0.mlp.up_proj.weight": f32(weight)}
        folder = checkpoint(tmp_path / name, tensors, config)
        if quantization:
            (folder / "hf_quant_config.json").write_text(quantization)
        return manifest_of(compiled(kvqc, folder, tmp_path / f"{name}-out"))["checkpoint"]["sha256"]

    plain = hash_of("plain")
    assert hash_of("weights", weight=2.0) == plain
    others = [
        hash_of("scale", k=0.75),
        hash_of("config", config={"rope_theta": 10000.0}),
        hash_of("quantization", quantization='{"producer": {"name": "modelopt"}, "quantization": {"kv_cache_quant_algo": "FP8"}}'),
    ]
    assert len({plain, *others}) == 4
