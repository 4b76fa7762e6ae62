"""What kvqc says of files and options that are wrong: one `error:` line with the file and the thing, status 1, no output left."""

import json

import pytest
from driver import CHECKPOINTS, Run, checkpoint, everything_in, f32, layer, safetensors, scales, with_header

DEEP = 200_000
K = "model.layers.0.self_attn.k_scale"
COMMANDS = (["inspect"], ["inspect", "--format", "json"], ["import"], ["compile"])


@pytest.fixture
def refused(kvqc, tmp_path):
    """A function that gives a checkpoint to every command, which must refuse it."""

    def check(path, *words, commands=COMMANDS, options=()):
        before = everything_in(tmp_path)
        for command in commands:
            output = ["-o", tmp_path / "out"] if command == ["compile"] else []
            Run(kvqc, *command, path, *options, *output).fails(*words)
            assert everything_in(tmp_path) == before, command
        if ["import"] in commands:
            Run(kvqc, "import", path, *options, "-o", tmp_path / "out.mlir").fails(*words)
            assert everything_in(tmp_path) == before

    return check


def header(name, dtype="F32", shape=(), offsets=(0, 4)):
    return json.dumps({name: {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}})


WHOLE = safetensors(scales(0.5, 0.25))
SAFETENSORS = {
    "empty": b"",
    "truncated length": WHOLE[:5],
    "truncated header": WHOLE[:40],
    "truncated data": WHOLE[:-1],
    "length beyond the file": with_header(header(K), bytes(4), length=10_000),
    "length beyond everything": with_header(header(K), bytes(4), length=2**63 + 5),
    "zero length": with_header("", b""),
    "offsets beyond the file": with_header(header(K, offsets=(0, 400)), bytes(4)),
    "offsets backwards": with_header(header(K, offsets=(4, 0)), bytes(4)),
    "shape beyond everything": with_header(header(K, shape=(2**62, 2**62)), bytes(4)),
    "a shape of other bytes": with_header(header(K, shape=(3,)), bytes(4)),
    "unknown dtype": with_header(header(K, dtype="F99"), bytes(4)),
    "malformed": with_header('{"a": ', b""),
    "no object": with_header("[1, 2]", b""),
    "deep": with_header("[" * DEEP, b""),
    "deep in metadata": with_header('{"__metadata__": ' + '{"a":' * DEEP, b""),
    "duplicate keys": with_header(header(K)[:-1] + ", " + header(K)[1:], bytes(4)),
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4976698672\n",
    "garbage": bytes(range(256)) * 8,
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_safetensors(refused, tmp_path, name):
    folder = checkpoint(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(SAFETENSORS[name])
    refused(folder, "model.safetensors")


def test_lfs_pointer_is_named(refused, tmp_path):
    folder = checkpoint(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(SAFETENSORS["Git LFS pointer"])
    refused(folder, "LFS")


@pytest.mark.parametrize(
    "tensor",
    [
        ("I32", [], bytes(4)),
        ("I64", [1], bytes(8)),
        ("F8_E4M3", [], b"\x38"),
        ("BOOL", [], b"\x01"),
        ("F32", [0], b""),
        ("F32", [1 << 22], bytes(4 << 22)),
    ],
    ids=lambda tensor: f"{tensor[0]}{tensor[1]}",
)
def test_scale_tensor_of_wrong_type_or_size(refused, tmp_path, tensor):
    refused(checkpoint(tmp_path / "model", scales(tensor, 0.25)), "model.safetensors", K)


def sharded(folder, weight_map):
    checkpoint(folder)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    text = weight_map if isinstance(weight_map, str) else json.dumps({"weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(text)
    return folder


FIRST = "model-00001-of-00002.safetensors"
INDEX = {
    "missing shard": ({K: FIRST, "b": "model-00002-of-00002.safetensors"}, "model-00002-of-00002.safetensors"),
    "parent folder": ({K: "../model.safetensors"}, "../model.safetensors"),
    "absolute": ({K: "/etc/passwd"}, "/etc/passwd"),
    "deep inside": ({K: "a/../../b.safetensors"}, "a/../../b.safetensors"),
    "not a name": ({K: 3}, "index.json"),
    "not a map": ('{"weight_map": []}', "weight_map"),
    "no map": ("{}", "weight_map"),
    "malformed": ('{"weight_map": {', "index.json"),
    "trailing": ('{"weight_map": {}} x', "index.json"),
    "deep": ("[" * DEEP, "index.json"),
    "deep and closed": ('{"a": ' + "[" * DEEP + "]" * DEEP + "}", "index.json"),
    "duplicate keys": (f'{{"weight_map": {{"{K}": "{FIRST}", "{K}": "{FIRST}"}}}}', "index.json"),
}


@pytest.mark.parametrize("name", INDEX)
def test_index(refused, tmp_path, name):
    weight_map, word = INDEX[name]
    refused(sharded(tmp_path / "model", weight_map), "model", word)


CONFIG = {
    "empty": "",
    "malformed": '{"model_type": ',
    "trailing comma": '{"model_type": "llama",}',
    "list": "[]",
    "text": "not JSON",
    "deep lists": "[" * DEEP,
    "deep lists, closed": '{"a": ' + "[" * DEEP + "]" * DEEP + "}",
    "deep objects": '{"a":' * DEEP,
    "duplicate keys": '{"model_type": "llama", "model_type": "llama"}',
    "garbage": "\x00\x01\x02",
}


@pytest.mark.parametrize("name", CONFIG)
def test_config(refused, tmp_path, name):
    folder = checkpoint(tmp_path / "model")
    (folder / "config.json").write_text(CONFIG[name])
    refused(folder, "config.json")


@pytest.mark.parametrize("layers", [0, -1, 10**12, 10**30, 1.5, "three"])
def test_number_of_layers(refused, tmp_path, layers):
    refused(checkpoint(tmp_path / "model", config={"num_hidden_layers": layers}), "config.json", "num_hidden_layers")


@pytest.mark.parametrize("change", [{"num_key_value_heads": 3}, {"num_attention_heads": 0}, {"num_key_value_heads": -1}])
def test_heads_of_the_config(refused, tmp_path, change):
    refused(checkpoint(tmp_path / "model", config=change), "config.json", "heads", commands=[["compile"]])


def test_heads_and_ranks(refused, tmp_path):
    for ranks in (3, 5, 7):
        refused(checkpoint(tmp_path / "model"), "model", ranks, commands=[["compile"]], options=["--tensor-parallel-size", ranks])


@pytest.mark.parametrize("dtype", [None, "int8", "float64", 3])
def test_source_type_is_asked_for(refused, tmp_path, dtype):
    refused(checkpoint(tmp_path / "model", config={"torch_dtype": dtype}), "model", "--source-type", commands=[["compile"]])


def test_nothing_to_read(refused, tmp_path):
    refused(tmp_path / "absent", "absent")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "folder")
    refused(tmp_path / "absent.mlir", "absent.mlir")
    refused(tmp_path / "absent.json", "absent.json")
    (tmp_path / "folder.mlir").mkdir()
    refused(tmp_path / "folder.mlir", "folder.mlir")
    (tmp_path / "text.txt").write_text("hello")
    refused(tmp_path / "text.txt", "text.txt")
    refused("/dev/null", "/dev/null")
    refused("", "empty")


def test_folder_without_config(refused, tmp_path):
    folder = checkpoint(tmp_path / "model")
    (folder / "config.json").unlink()
    refused(folder, "config.json", commands=[["compile"]])


def test_legacy_json(refused, tmp_path):
    text = (CHECKPOINTS / "legacy-json" / "kv_cache_scales.json").read_text()
    path = tmp_path / "kv_cache_scales.json"
    for broken in ("", "{", "[" * DEEP, '{"a":' * DEEP, text.replace('"0": 0.0', '"0": "x", "z": 0.0'), text.replace('"1":', '"0":'), "[]"):
        path.write_text(broken)
        refused(path, "kv_cache_scales.json")
    path.write_text(text)
    refused(path, "--config", commands=[["compile"]])
    refused(path, "nowhere.json", options=["--config", tmp_path / "nowhere.json"])
    (tmp_path / "config.json").write_text("[" * DEEP)
    refused(path, "config.json", options=["--config", tmp_path / "config.json"])


MLIR = {
    "empty": "",
    "garbage": "\x00\x01\x02\x7f\x00garbage",
    "text": "hello there",
    "deep": "module attributes {a = " + "[" * DEEP,
    "deep objects": "{" * DEEP,
    "deep parentheses": "module { func.func @f() -> " + "(" * DEEP,
    "deep tuples": "module attributes {a = " + "tuple<" * DEEP,
    "deep modules": "module {" * DEEP,
    "deep locations": layer().rstrip() + " loc(" + "fused[" * DEEP,
    "no layers": "module {}",
    "unknown op": "kvq.nothing",
    "a scale of the wrong type": layer(scales="checkpoint(k = dense<1> : tensor<2xi32>)"),
    "a scale that is text": layer(scales='checkpoint(k = "x")'),
    "an empty scale": layer(scales="checkpoint(k = dense<> : tensor<0xf32>)"),
    "heads that do not divide": layer(heads=5, kv_heads=3),
    "no heads": layer(heads=0, kv_heads=0),
    "10^30 heads": layer(heads=10**30, kv_heads=1),
    "a negative index": layer().replace("index 0", "index -1"),
    "a name twice": layer() + layer(),
    "an unknown cache": layer(cache="fp4"),
    "an unknown source": layer(source="i8"),
    "truncated": "module { " + layer()[:60],
}


@pytest.mark.parametrize("name", MLIR)
def test_mlir(refused, tmp_path, name):
    path = tmp_path / "model.mlir"
    path.write_text(MLIR[name])
    refused(path, "model.mlir")


def test_binary_mlir(refused, tmp_path):
    path = tmp_path / "model.mlir"
    for content in (bytes(range(256)) * 100, b"ML\xefR", b"ML\xefR" + bytes(200), b"ML\xefR" + bytes(range(256)), b"\x7fELF" + b"\xff" * 999):
        path.write_bytes(content)
        refused(path, "model.mlir")


def test_mlir_that_other_options_contradict(refused, tmp_path):
    path = tmp_path / "model.mlir"
    path.write_text(layer())
    refused(path, "model.mlir", "layers.0", "--kv-cache-dtype", "fp8_e5m2", options=["--kv-cache-dtype", "fp8_e5m2"])
    refused(path, "model.mlir", "layers.0", "--source-type", "f16", options=["--source-type", "f16"])
    refused(path, "model.mlir", "layers.0", "--calculate-kv-scales", options=["--calculate-kv-scales"])
    refused(path, "model.mlir", "--config", options=["--config", CHECKPOINTS / "legacy-json" / "config.json"])
    target = 'module attributes {kvq.target = #kvq.target<chip = "sm_90">} {' + layer() + "}"
    path.write_text(target)
    chips = [["inspect"], ["compile"]]
    refused(path, "model.mlir", "--target", "sm_80", commands=chips, options=["--target", "sm_80"])
    refused(path, "model.mlir", "--fnuz", commands=chips, options=["--fnuz"])


def test_mlir_that_is_resolved(kvq_opt, refused, tmp_path):
    (tmp_path / "raw.mlir").write_text(layer())
    path = tmp_path / "model.mlir"
    for target in ("host", "sm_90"):
        Run(kvq_opt, tmp_path / "raw.mlir", f"--kvq-resolve-scales=chip={target}", "-o", path)
        refused(path, "model.mlir", "layers.0", "resolved")


def test_mlir_without_what_a_kernel_needs(refused, tmp_path):
    path = tmp_path / "model.mlir"
    path.write_text(layer(source=None))
    refused(path, "model.mlir", "--source-type", commands=[["compile"]])
    path.write_text("kvq.attention @a index 0 source bf16 cache fp8")
    refused(path, "model.mlir", "geometry", commands=[["compile"]])
    path.write_text(layer() + "func.func @f() { return }")
    refused(path, "model.mlir", "func.func", commands=[["compile"]])


@pytest.mark.parametrize("value", ["inf", "nan", "1.5e38"])
def test_compile_refuses_scales_that_are_not_finite(refused, tmp_path, value):
    # The last is finite, but not twice it.
    value = "3e38" if value == "1.5e38" else value
    folder = checkpoint(tmp_path / "model", scales(float(value), float(value)))
    refused(folder, "model.safetensors", "layers.0", "k", commands=[["compile"]], options=["--fnuz"])


def test_several_numbers_are_errors_of_compile(refused, tmp_path):
    folder = checkpoint(tmp_path / "model", scales(f32(1, 2, shape=(2, 1, 1)), f32(1, 2, shape=(2, 1, 1))))
    refused(folder, "model.safetensors", "model.layers.0.self_attn", "Only support per-tensor", commands=[["compile"]])


OPTIONS = {
    "--kv-cache-dtype": ("fp4", "fp8_e5m2"),
    "--target": ("sm_90a", "sm_90"),
    "--ops": ("attend", "store"),
    "--layout": ("random", "nhd"),
    "--bounds": ("some", "count"),
    "--scales": ("guess", "argument"),
    "--source-type": ("i8", "bf16"),
    "--block-size": ("0", "--block-size"),
    "--align": ("12", "--align"),
    "--tensor-parallel-size": ("0", "--tensor-parallel-size"),
    "-j": ("none", "-j"),
    "--cache-size-limit": ("lots", "--cache-size-limit"),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_unknown_words(kvqc, tmp_path, option):
    word, names = OPTIONS[option]
    out = tmp_path / "out"
    Run(kvqc, "compile", CHECKPOINTS / "llama-ct", option, word, "-o", out).fails(f"'{word}'", names)
    Run(kvqc, "compile", CHECKPOINTS / "llama-ct", "-o", out, option).fails(option.lstrip("-"))
    Run(kvqc, "compile", CHECKPOINTS / "llama-ct", "-o", out, f"{option}=").fails("''")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("number", ["-1", "1e3", "99999999999999999999", "16x", " "])
@pytest.mark.parametrize("option", ["--block-size", "--align", "--tensor-parallel-size", "-j", "--cache-size-limit"])
def test_numbers(kvqc, tmp_path, option, number):
    Run(kvqc, "compile", CHECKPOINTS / "llama-ct", "-o", tmp_path / "out", f"{option}={number}").fails(option)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], ["import", "inspect", "compile"]),
        (["frobnicate"], ["'frobnicate'", "import", "inspect", "compile"]),
        (["compile"], ["CHECKPOINT"]),
        (["import"], ["CHECKPOINT"]),
        (["inspect"], ["CHECKPOINT"]),
        (["inspect", "a", "b"], ["CHECKPOINT"]),
        (["compile", CHECKPOINTS / "llama-ct"], ["-o"]),
        (["compile", CHECKPOINTS / "llama-ct", "-o"], ["-o"]),
        (["compile", CHECKPOINTS / "llama-ct", "-o", ""], ["empty"]),
        (["inspect", CHECKPOINTS / "llama-ct", "--frobnicate"], ["frobnicate"]),
        (["import", CHECKPOINTS / "llama-ct", "--target", "host"], ["target"]),
        (["inspect", CHECKPOINTS / "llama-ct", "--format", "xml"], ["'xml'", "json"]),
        (["inspect", CHECKPOINTS / "llama-ct", "--target", "sm_90", "--target", "sm_80"], ["--target"]),
        (["inspect", CHECKPOINTS / "llama-ct", "--target", "sm_42"], ["'sm_42'", "sm_90"]),
        (["inspect", CHECKPOINTS / "llama-ct", "--fnuz=maybe"], ["fnuz"]),
        (["inspect", CHECKPOINTS / "llama-ct", "--target", "sm_90", "--fnuz"], ["--fnuz", "host"]),
        (["compile", CHECKPOINTS / "llama-ct", "--target", "gfx942", "--fnuz", "-o", "/nonexistent-folder-of-kvq"], ["nonexistent"]),
        (["import", CHECKPOINTS / "llama-ct", "-o", "/proc/no/model.mlir"], ["/proc/no/model.mlir"]),
        (["import", CHECKPOINTS / "llama-ct", "-o", ""], ["empty"]),
    ],
    ids=lambda value: " ".join(str(part).rsplit("/", 1)[-1] for part in value) or "nothing",
)
def test_command_lines(kvqc, tmp_path, arguments, words):
    if "gfx942" in arguments:
        Run(kvqc, *arguments[:-1], tmp_path / "out").fails("--fnuz", "host")
    else:
        Run(kvqc, *arguments, cwd=tmp_path).fails(*words)
    assert not any(tmp_path.iterdir())


def test_control_characters_stay_on_one_line(kvqc, tmp_path):
    name = "model\n\x1b[31mred.mlir"
    (tmp_path / name).write_text("nothing")
    Run(kvqc, "inspect", tmp_path / name).fails("\\x1b")
    Run(kvqc, "inspect", tmp_path / "a\nb").fails("b")
    Run(kvqc, "fro\nb").fails("fro")
    Run(kvqc, "inspect", tmp_path, "--fro\nb").fails("fro")
    tensors = {"model.layers.0.self_attn\nerror: x.k_scale": ("I32", [], bytes(4))} | {K: ("I32", [], bytes(4))}
    Run(kvqc, "inspect", checkpoint(tmp_path / "model", tensors)).fails("model.safetensors")
