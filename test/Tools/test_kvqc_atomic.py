"""kvqc compile killed at any call, on a full disk, and beside another: the old folder or the new one, never a mixture."""

import itertools
import os
import shutil
import subprocess

import pytest
from driver import Run, everything_in, layer

OLD = ["--ops", "load", "--block-size", "32"]
NEW = ["--ops", "store"]


@pytest.fixture(scope="module")
def preload(tmp_path_factory, source_dir):
    """The library that lets calls fail."""
    path = tmp_path_factory.mktemp("preload") / "fail_at_call.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", path, source_dir / "test" / "Tools" / "fail_at_call.c"], check=True)
    return path


@pytest.fixture(scope="module")
def outputs(kvqc, tmp_path_factory):
    """A folder with what an earlier and a later compilation leave, 'old' and 'new'."""
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "model.mlir").write_text(layer())
    for name, options in (("old", OLD), ("new", NEW)):
        Run(kvqc, "compile", folder / "model.mlir", "-o", folder / name, *options).succeeds()
    assert contents(folder / "old") != contents(folder / "new")
    return folder


def contents(folder):
    """The files of an artefact by name; None where there is none."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else None


class Place:
    """A folder with a model, in which one compiles to `out`, where the old artefact may be."""

    def __init__(self, kvqc, folder, preload, outputs):
        self.kvqc, self.folder, self.preload, self.outputs, self.out = kvqc, folder, preload, outputs, folder / "out"
        (folder / "model.mlir").write_text(layer())

    def reset(self, earlier):
        """Puts the old artefact there, or nothing."""
        for name in os.listdir(self.folder):
            if name != "model.mlir":
                shutil.rmtree(self.folder / name)
        if earlier:
            shutil.copytree(self.outputs / "old", self.out)

    def command(self, options):
        return [self.kvqc, "compile", self.folder / "model.mlir", "-o", self.out, *options]

    def new(self, **environment):
        more = {"LD_PRELOAD": str(self.preload), "FAIL_IN": ".out.kvq-"} | environment if environment else {}
        return Run(*self.command(NEW), env=dict(os.environ, **more))

    def count(self):
        """How many calls there are to fail."""
        path = self.folder / "count"
        self.new(FAIL_COUNT=str(path)).succeeds()
        count = int(path.read_text())
        path.unlink()
        return count

    def debris(self):
        return sorted(set(os.listdir(self.folder)) - {"model.mlir", "out"})


@pytest.fixture
def place(kvqc, tmp_path, preload, outputs):
    return Place(kvqc, tmp_path, preload, outputs)


@pytest.mark.parametrize("earlier", [False, True])
def test_killed_at_every_call(place, outputs, earlier):
    old, new = (contents(outputs / name) for name in ("old", "new"))
    place.reset(earlier)
    before = old if earlier else None
    calls, seen = place.count(), []
    assert calls > 10 and contents(place.out) == new
    for call in itertools.count(1):
        place.reset(earlier)
        run = place.new(FAIL_AT=str(call), FAIL_HOW="kill")
        if run.status == 0:
            break
        assert run.status == -9
        now = contents(place.out)
        assert now in (before, new), f"a mixture after call {call}"
        seen.append(now == new)
        # What is left lies beside, is hidden, and is in nobody's way.
        assert all(name.startswith(".out.kvq-") for name in place.debris())
        if call % 8 == 1:
            assert place.new().succeeds() and contents(place.out) == new
    # First the old ones, then the new ones, and kills on both sides of the exchange where there is something to clear away.
    assert seen == sorted(seen) and len(seen) >= calls - 1 and (True in seen) == earlier


@pytest.mark.parametrize("earlier", [False, True])
def test_no_space_at_every_call(place, outputs, earlier):
    old, new = (contents(outputs / name) for name in ("old", "new"))
    place.reset(earlier)
    calls = place.count()
    for call in range(1, calls + 1):
        place.reset(earlier)
        before = everything_in(place.folder)
        run = place.new(FAIL_AT=str(call), FAIL_HOW="full")
        if run.status == 0:
            # Only the calls that clear away were left.
            assert contents(place.out) == new and not place.debris()
            break
        run.fails("No space left on device", place.out)
        assert everything_in(place.folder) == before, f"debris after call {call}"
    assert call > 10


def test_a_disk_that_is_full(place, tmp_path):
    """A file system of 32 KiB, where one may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=32k none "$0" || exit 77; "$@"; echo "status $?"; ls -A "$0"'
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        script,
        disk,
        place.kvqc,
        "compile",
        tmp_path / "model.mlir",
        "-o",
        disk / "out",
        "--target",
        "host,gfx942",
    ]
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare")
    if "status" not in done.stdout:
        pytest.skip("mounting is not allowed")
    assert done.stdout == "status 1\n" and "No space left on device" in done.stderr


@pytest.mark.parametrize("earlier", [False, True])
def test_compilations_side_by_side(place, outputs, earlier):
    """Both end well, and the folder is that of one of them."""
    old, new = (contents(outputs / name) for name in ("old", "new"))
    for _ in range(4):
        place.reset(earlier)
        running = [subprocess.Popen(place.command(each), stdout=subprocess.PIPE, stderr=subprocess.PIPE) for each in (OLD, NEW) * 2]
        for process in running:
            _, stderr = process.communicate(timeout=120)
            assert process.returncode == 0, stderr
        assert contents(place.out) in (old, new)
        assert not place.debris()
