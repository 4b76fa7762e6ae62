"""Where kvqc writes: what it replaces, what it refuses to touch, and that nothing half-made stays behind."""

import os
import socket

import pytest
from driver import CHECKPOINTS, Run, everything_in, layer


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.mlir"
    path.write_text(layer())
    return path


@pytest.fixture
def compile_to(kvqc, model):
    """A function that compiles into a folder, with more options."""
    return lambda out, *arguments, **options: Run(kvqc, "compile", model, "-o", out, *arguments, **options)


ARTEFACT = {"manifest.json", "kvq_kernels.h", "host.so"}


def test_absent_empty_and_earlier_folders(compile_to, tmp_path):
    out = tmp_path / "out"
    compile_to(out).succeeds()
    assert set(os.listdir(out)) == ARTEFACT
    first = everything_in(out)
    # Another target's files go with the rest of an earlier output.
    compile_to(out, "--target", "gfx942").succeeds()
    assert set(os.listdir(out)) == {"manifest.json", "kvq_kernels.h", "gfx942.hsaco"}
    (out / "stray").write_text("inside an earlier output")
    compile_to(f"{out}///").succeeds()
    assert everything_in(out) == first
    (tmp_path / "empty").mkdir()
    compile_to("empty", cwd=tmp_path).succeeds()
    (tmp_path / "here").mkdir()
    compile_to(".", cwd=tmp_path / "here").succeeds()
    assert set(os.listdir(tmp_path / "here")) == ARTEFACT
    assert set(os.listdir(tmp_path)) == {"model.mlir", "out", "empty", "here"}


def test_what_is_not_replaced(compile_to, tmp_path):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("somebody's")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text('{"schema": "other/1"}')
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".git").mkdir()
    os.mkfifo(tmp_path / "fifo")
    before = sorted(everything for everything in os.listdir(tmp_path))
    for name in ("file", "link", "link/", "dangling", "full", "other", "hidden", "fifo"):
        compile_to(tmp_path / name if not name.endswith("/") else f"{tmp_path}/{name}").fails(tmp_path / name.rstrip("/"))
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "full" / "notes.txt").read_text() == "somebody's"
    assert not any((tmp_path / "empty").iterdir())


def test_folders_that_cannot_be_written(compile_to, tmp_path):
    (tmp_path / "file").write_text("a file")
    for out in (tmp_path / "file" / "out", tmp_path / "absent" / "out", "/proc/out", "/proc/self/out", tmp_path / ("x" * 300), "/", ".."):
        compile_to(out, cwd=tmp_path).fails(str(out)[:30])
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        compile_to(tmp_path / "closed" / "out").fails("closed")
    assert {"file", "model.mlir"} == set(os.listdir(tmp_path)) - {"closed"}


@pytest.mark.parametrize("limit", [0, 10, 1000, 5000])
def test_full_disk(compile_to, kvqc, model, tmp_path, limit):
    """A limit on the size of files stands in: writing beyond it fails as on a full disk, with another errno."""
    out = tmp_path / "out"
    (tmp_path / "temporary").mkdir()
    environment = dict(os.environ, TMPDIR=str(tmp_path / "temporary"))
    for prepare in (lambda: None, out.mkdir, lambda: compile_to(out).succeeds()):
        prepare()
        earlier = everything_in(tmp_path)
        for targets in (["host"], ["sm_90"], ["gfx942"], ["sm_90", "gfx942", "host"]):
            chosen = [f"--target={target}" for target in targets]
            compile_to(out, "--block-size", "32", *chosen, file_limit=limit, env=environment).fails("File too large")
            assert everything_in(tmp_path) == earlier
    Run(kvqc, "import", CHECKPOINTS / "llama-ct", "-o", tmp_path / "made.mlir", file_limit=limit // 10).fails("made.mlir")
    assert everything_in(tmp_path) == earlier


def test_standard_output_that_is_full(kvqc):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    for arguments in (
        ["import", CHECKPOINTS / "llama-ct"],
        ["inspect", CHECKPOINTS / "llama-ct"],
        ["--list-targets"],
        ["--help"],
        ["inspect", "--help"],
    ):
        command = ["sh", "-c", '"$0" "$@" > /dev/full', kvqc, *arguments]
        run = Run(*command)
        if "--help" not in arguments[1:]:
            run.fails("standard output")
        assert run.status in (0, 1)


def test_files_of_import(kvqc, tmp_path, monkeypatch):
    checkpoint = CHECKPOINTS / "llama-ct"
    text = Run(kvqc, "import", checkpoint).succeeds().stdout
    out = tmp_path / "model.mlir"
    for _ in range(2):
        assert Run(kvqc, "import", checkpoint, "-o", out).succeeds().stdout == ""
        assert out.read_text() == text and os.listdir(tmp_path) == ["model.mlir"]
    assert Run(kvqc, "import", checkpoint, "-o", "/dev/stdout").succeeds().stdout == text
    assert Run(kvqc, "import", checkpoint, "-o", "-").succeeds().stdout == text
    (tmp_path / "link.mlir").symlink_to(out)
    (tmp_path / "folder").mkdir()
    server = socket.socket(socket.AF_UNIX)
    # A socket's address is short; tmp_path may not be.
    monkeypatch.chdir(tmp_path)
    server.bind("socket")
    for name in ("link.mlir", "folder", "socket", "absent/model.mlir", "model.mlir/model.mlir"):
        Run(kvqc, "import", checkpoint, "-o", tmp_path / name).fails(tmp_path / name)
    server.close()
    assert set(os.listdir(tmp_path)) == {"model.mlir", "link.mlir", "folder", "socket"} and out.read_text() == text
