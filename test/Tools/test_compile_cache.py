"""The compile cache: what it changes (how many kernels are built) and what it never changes (the bytes, and whether there are any)."""

import contextlib
import fcntl
import os
import pathlib
import pty
import re
import stat
import struct
import subprocess
import termios
import time

import pytest
from driver import Run, everything_in, layer

TARGETS = "--target=sm_90,gfx942,host"
NAME = re.compile(r"[0-9a-f]{64}")


def model(path, scales):
    """Writes a module with a layer for each (k, v)."""
    path.write_text("".join(layer(n, scales=f"checkpoint(k = {k}, v = {v})") for n, (k, v) in enumerate(scales)))
    return path


SCALES = [(0.023, 0.031), (0.024, 0.032), (0.025, 0.033)]


class Compiler:
    """kvqc compile with a cache, and what it says of it."""

    def __init__(self, kvqc, folder):
        self.kvqc, self.folder, self.cache = kvqc, folder, folder / "cache"
        self.outputs = 0

    def arguments(self, source, *more):
        self.outputs += 1
        out = self.folder / f"out-{self.outputs}"
        return out, ["compile", source, "-o", out, "--cache-statistics", *more]

    def __call__(self, source, *more, cache=True, **options):
        """(kernels, kernels built, {name: bytes})."""
        out, arguments = self.arguments(source, *more)
        run = Run(self.kvqc, *arguments, *([f"--cache-dir={self.cache}"] if cache else []), **options).succeeds()
        kernels, built = re.fullmatch(r"kernels: (\d+), built: (\d+)\n", run.stdout).groups()
        return int(kernels), int(built), {path.name: path.read_bytes() for path in out.iterdir()}

    def start(self, source):
        """Begins to compile for all targets: (folder, process)."""
        out, arguments = self.arguments(source, TARGETS, f"--cache-dir={self.cache}")
        command = [str(argument) for argument in (self.kvqc, *arguments)]
        return out, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def entries(self):
        return sorted(path for path in self.cache.iterdir() if NAME.fullmatch(path.name))


@pytest.fixture
def compiler(kvqc, tmp_path):
    return Compiler(kvqc, tmp_path)


@pytest.fixture
def source(tmp_path):
    return model(tmp_path / "model.mlir", SCALES)


def test_the_bytes_do_not_depend_on_the_cache(compiler, source, tmp_path):
    kernels, built, files = compiler(source, TARGETS, cache=False)
    assert (kernels, built) == (18, 18)
    for jobs in ("-j1", "-j5"):
        assert compiler(source, TARGETS, "--no-cache", jobs, cache=False) == (18, 18, files)
    assert compiler(source, TARGETS) == (18, 18, files)
    assert compiler(source, TARGETS) == (18, 0, files)
    # Other paths and comments, the same layers.
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "renamed.mlir"
    moved.write_text("// A comment.\n" + source.read_text())
    kernels, built, other = compiler(moved, TARGETS)
    assert (kernels, built) == (18, 0)
    assert all(other[name] == files[name] for name in ("sm_90.ptx", "gfx942.hsaco", "host.so"))
    # Half of the entries are gone: those of whole targets or of kernels, as it happens.
    for path in compiler.entries()[::2]:
        path.unlink()
    assert compiler(source, TARGETS)[2] == files


def test_one_layers_change_builds_that_layers_kernels(compiler, source):
    compiler(source, TARGETS)
    model(source, [*SCALES[:1], (0.5, 0.032), *SCALES[2:]])
    kernels, built, files = compiler(source, TARGETS)
    assert (kernels, built) == (18, 2 * 3)
    assert compiler(source, TARGETS, cache=False) == (18, 18, files)
    # A layer less, another order, a name: nothing to build.
    model(source, [SCALES[2], SCALES[0]])
    assert compiler(source, TARGETS)[:2] == (12, 0)
    source.write_text(source.read_text().replace("@layers.", "@model.layers."))
    assert compiler(source, TARGETS)[:2] == (12, 0)
    # A target more.
    assert compiler(source, TARGETS + ",gfx950")[:2] == (16, 4)


def test_layers_that_share_kernels(compiler, source):
    """Of two layers with equal scales one changes: the other's kernels are those that there were."""
    model(source, [SCALES[0], SCALES[0], SCALES[1]])
    assert compiler(source, "--target=host")[:2] == (4, 4)
    model(source, [SCALES[2], SCALES[0], SCALES[1]])
    kernels, built, files = compiler(source, "--target=host")
    assert (kernels, built) == (6, 2)
    assert compiler(source, "--target=host", cache=False)[2] == files


@pytest.mark.parametrize(
    "option",
    [
        "--layout=hnd",
        "--block-size=32",
        "--align=8,16",
        "--bounds=off",
        "--tensor-parallel-size=2",
        "--slot-type=i32",
        "--padding-slot=7",
        "--scales=argument",
        "--scales=both",
        "--fnuz",
    ],
)
def test_every_option_counts(compiler, source, option):
    plain = compiler(source)[2]
    fresh = compiler(source, option, cache=False)[2]
    assert fresh != plain
    assert compiler(source, option)[2] == fresh
    assert compiler(source, option)[1] == 0
    assert compiler(source)[1:] == (0, plain)


def test_constants_count_to_the_last_digit(compiler, source):
    """Two constants that differ in the eighth digit are two."""
    source.write_text(layer(more="calculate_kv_scales", scales=""))
    options = [["--ops=compute_scales", f"--k-scale-constant={number}"] for number in ("200.00001", "200.00003")]
    found = [compiler(source, *option)[2] for option in options]
    assert found[0]["host.so"] != found[1]["host.so"]
    assert [compiler(source, *option, cache=False)[2] for option in options] == found


@pytest.mark.parametrize("ops", ["quantize_query,store,load", "store,gather,load,quantize_query"])
def test_kernels_of_several_kinds_keep_their_order(compiler, source, ops):
    kernels, built, files = compiler(source, f"--ops={ops}", TARGETS, cache=False)
    assert kernels == built
    assert compiler(source, f"--ops={ops}", TARGETS)[2] == files
    assert compiler(source, f"--ops={ops}", TARGETS) == (kernels, 0, files)


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "garbage", "swap", "folder", "fifo", "link", "unreadable"])
def test_damaged_entries_are_built_anew(compiler, source, damage):
    kernels, _, files = compiler(source, TARGETS)
    entries = compiler.entries()
    contents = [path.read_bytes() for path in entries]
    for index, path in enumerate(entries):
        old = contents[index]
        path.unlink()
        if damage == "truncate":
            path.write_bytes(old[: len(old) // 2])
        elif damage == "flip":
            place = len(old) * 3 // 4
            path.write_bytes(old[:place] + bytes([old[place] ^ 1]) + old[place + 1 :])
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "garbage":
            path.write_bytes(os.urandom(5000))
        elif damage == "swap":
            path.write_bytes(contents[index - 1])
        elif damage == "folder":
            path.mkdir()
        elif damage == "fifo":
            os.mkfifo(path)
        elif damage == "link":
            path.symlink_to("/dev/zero")
        elif damage == "unreadable":
            path.write_bytes(old)
            path.chmod(0)
    expected = kernels if damage != "unreadable" or os.geteuid() != 0 else 0
    assert compiler(source, TARGETS) == (kernels, expected, files)
    if damage != "folder":
        assert compiler(source, TARGETS) == (kernels, 0, files)


def test_another_builds_entries_are_not_read(compiler, source, kvqc, tmp_path):
    """A copy of kvqc with one changed byte in its build id is another build: it reads nothing of this one's."""
    compiler(source)
    notes = subprocess.run(["readelf", "-n", kvqc], capture_output=True, text=True)
    identity = re.search(r"Build ID: ([0-9a-f]+)", notes.stdout)
    if not identity:
        pytest.skip("no readelf, or kvqc has no build id")
    program = pathlib.Path(kvqc).read_bytes()
    old = bytes.fromhex(identity[1])
    assert program.count(old) == 1
    other = tmp_path / "kvqc"
    other.write_bytes(program.replace(old, old[:-1] + bytes([old[-1] ^ 1])))
    other.chmod(0o755)
    compiler.kvqc = other
    assert compiler(source)[:2] == (6, 6)
    assert compiler(source)[:2] == (6, 0)


def test_another_assembler_is_another_key(compiler, source):
    plain = compiler(source, "--target=sm_90")[2]
    environment = dict(os.environ, KVQ_PTX_ASSEMBLER="none")
    kernels, built, files = compiler(source, "--target=sm_90", env=environment)
    assert set(plain) - set(files) <= {"sm_90.cubin"} and files["sm_90.ptx"] == plain["sm_90.ptx"]
    assert compiler(source, "--target=sm_90")[2] == plain


def test_two_processes_at_once(compiler, source):
    files = compiler(source, TARGETS, cache=False)[2]
    started = [compiler.start(source) for _ in range(4)]
    for out, process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert {path.name: path.read_bytes() for path in out.iterdir()} == files
    assert all(NAME.fullmatch(path.name) for path in compiler.cache.iterdir())
    assert compiler(source, TARGETS) == (18, 0, files)


def test_a_process_that_is_killed(compiler, source):
    """Killed again and again, each time somewhat later; then one goes to the end."""
    files = compiler(source, TARGETS, cache=False)[2]
    for delay in range(12):
        _, process = compiler.start(source)
        time.sleep(0.03 * delay)
        process.kill()
        process.communicate()
    assert compiler(source, TARGETS)[2] == files
    assert compiler(source, TARGETS) == (18, 0, files)


def test_what_a_killed_process_left_goes(compiler, source):
    compiler(source)
    old, new = (compiler.cache / f"kvq-temporary-{number}-0-00000000" for number in (1, 2))
    other = compiler.cache / "somebody's"
    for path in (old, new, other):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    os.utime(other, (time.time() - 7200,) * 2)
    compiler(source, "--block-size=32", "--cache-size-limit=0")
    assert not old.exists() and new.exists() and other.exists()
    assert compiler.entries() == []


def test_the_limit_holds_and_the_oldest_go(compiler, source):
    compiler(source, TARGETS)
    first = {path.name for path in compiler.entries()}
    for path in compiler.entries():
        os.utime(path, (time.time() - 100,) * 2)
    # What is used now is young again: the entries of whole targets.
    assert compiler(source, TARGETS)[1] == 0
    young = {path.name for path in compiler.entries() if path.stat().st_mtime > time.time() - 50}
    assert len(young) == 3 < len(first)
    filler = compiler.cache / ("0" * 64)
    filler.write_bytes(bytes(2**20 - sum((compiler.cache / name).stat().st_size for name in young) - 150_000))
    os.utime(filler, (time.time() - 10,) * 2)
    compiler(source, "--target=host", "--block-size=32", "--cache-size-limit=1")
    entries = compiler.entries()
    assert sum(path.stat().st_size for path in entries) <= 2**20
    names = {path.name for path in entries}
    # The young ones, the filler and what was written are there, of the old ones none or few.
    assert young <= names and filler.name in names and names - first - {filler.name}
    assert not first <= names


def test_caches_that_cannot_be_written(compiler, source, tmp_path):
    source.write_text(layer())
    files = compiler(source, cache=False)[2]
    (tmp_path / "file").write_text("a file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing" / "at all")
    places = [tmp_path / "file", tmp_path / "file" / "below", tmp_path / "dangling", "/proc/kvq", "/dev/null", tmp_path / ("x" * 300)]
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        places += [tmp_path / "closed", tmp_path / "closed" / "below"]
    for place in places:
        compiler.cache = place
        assert compiler(source) == (2, 2, files), place
    assert (tmp_path / "file").read_text() == "a file" and not (tmp_path / "nothing").exists()


def test_a_full_disk_of_the_cache(compiler, source):
    """A limit on the size of files stands in, which every file of the artefact is within and the entry of the whole target is not."""
    files = compiler(source, "--target=sm_80", cache=False)[2]
    if "sm_80.cubin" not in files:
        pytest.skip("no assembler for PTX")
    limit = max(len(content) for content in files.values())
    for _ in range(2):
        assert compiler(source, "--target=sm_80", file_limit=limit)[2] == files
        assert all(NAME.fullmatch(path.name) and path.stat().st_size <= limit for path in compiler.cache.iterdir())
    assert compiler(source, "--target=sm_80") == (6, 0, files)


def test_where_the_cache_is(compiler, source, tmp_path):
    home, base, named = tmp_path / "home", tmp_path / "xdg", tmp_path / "named"
    plain = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME", "KVQ_CACHE_DIR")}

    def compile_with(*arguments, **variables):
        before = everything_in(tmp_path / "out") if (tmp_path / "out").exists() else None
        Run(compiler.kvqc, "compile", source, "-o", tmp_path / "out", *arguments, env=plain | variables).succeeds()
        assert before in (None, everything_in(tmp_path / "out"))
        return {path for path in (home / ".cache" / "kvq", base / "kvq", named) if path.exists()}

    assert compile_with() == set()
    assert compile_with(HOME="relative", XDG_CACHE_HOME="also") == set() and not os.path.exists("relative") and not os.path.exists("also")
    assert compile_with("--no-cache", HOME=str(home)) == set()
    assert compile_with(HOME=str(home), KVQ_CACHE_DIR="") == set()
    assert compile_with(HOME=str(home)) == {home / ".cache" / "kvq"}
    assert stat.S_IMODE((home / ".cache" / "kvq").stat().st_mode) == 0o700
    assert compile_with(HOME=str(home), XDG_CACHE_HOME=str(base)) == {home / ".cache" / "kvq", base / "kvq"}
    assert named in compile_with(HOME=str(home), KVQ_CACHE_DIR=str(named))
    Run(compiler.kvqc, "compile", source, "-o", tmp_path / "out", "--no-cache", f"--cache-dir={named}").fails("--no-cache", "--cache-dir")
    Run(compiler.kvqc, "compile", source, "-o", tmp_path / "out", "--cache-size-limit=lots").fails("--cache-size-limit", "lots")


def test_errors_are_not_kept(compiler, source, tmp_path):
    """What cannot be compiled says so each time, and the first error is the same with every number of threads."""
    source.write_text("".join(layer(n, scales=f"checkpoint(k = {k}, v = 0.5)") for n, k in enumerate((0.5, "0x7F800000", "0x7F800000"))))
    texts = set()
    for jobs in (1, 4, 4):
        out, arguments = compiler.arguments(source, f"-j{jobs}", TARGETS, f"--cache-dir={compiler.cache}")
        texts.add(Run(compiler.kvqc, *arguments).fails("layers.1").stderr)
        assert not out.exists()
    assert len(texts) == 1


def on_a_terminal(program, *arguments, columns=200):
    """What a program prints on its standard error where that is a terminal."""
    terminal, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([str(argument) for argument in (program, *arguments)], stdout=subprocess.DEVNULL, stderr=slave) as process:
        os.close(slave)
        text = b""
        # The end of a terminal is an error.
        with contextlib.suppress(OSError):
            while read := os.read(terminal, 4096):
                text += read
        os.close(terminal)
        assert process.wait() == 0, text
    return text.decode()


def test_progress_on_a_terminal(compiler, source):
    """Every kernel that is done shows, of how many and for which target; the last thing is an empty line."""
    _, arguments = compiler.arguments(source, TARGETS, "-j1")
    shown = [line.partition("warning: ")[0] for line in on_a_terminal(compiler.kvqc, *arguments).split("\r\x1b[K")]
    counts = [tuple(map(int, match.groups())) for line in shown if (match := re.match(r"(\d+) of (\d+) kernels", line))]
    assert counts == sorted(counts) and counts[-1] == (18, 18) and {done for done, _ in counts} >= set(range(2, 19, 2))
    for target in ("sm_90", "gfx942", "host"):
        of_target = [int(match[1]) for line in shown if (match := re.search(rf"[:,] {target} (\d+) of 6", line))]
        assert of_target == sorted(of_target) and set(of_target) >= {0, 2, 4, 6}
    assert shown[-1] == ""
    # A narrow terminal has lines of its width, nothing else a line.
    narrow = on_a_terminal(compiler.kvqc, *compiler.arguments(source, TARGETS)[1], columns=20).split("\r\x1b[K")
    assert max(len(line.partition("warning: ")[0]) for line in narrow) == 19
    assert compiler(source, TARGETS)[:2] == (18, 18)
