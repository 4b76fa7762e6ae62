"""Console blocks of pages, run as they stand.

A ```console block has commands behind `$ ` and what they print, stdout and stderr together. A command goes on where its line ends in a
backslash. `…` alone on a line stands for any number of lines, inside a line for any text. All commands of a page run in one folder, in order.
"""

import os
import re
import subprocess

from conftest import SOURCE

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(text):
    """(command, lines printed) of each command of each block, in order."""
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip("\n").split("\n")
            while command.endswith("\\"):
                command = command[:-1] + lines.pop(0)
            yield command, lines


def pattern(lines):
    """The regular expression of what a command prints."""
    made = "".join(r"(?:.*\n)*?" if line == "…" else ".*?".join(re.escape(text) for text in line.split("…")) + r"\n" for line in lines)
    return re.compile(made)


def run_page(path, folder, programs):
    """Runs the commands of a page in `folder`, with `programs` before PATH, and yields (command, lines, what it printed) of each."""
    for name in ("docs", "test"):
        os.symlink(SOURCE / name, folder / name)
    environment = dict(os.environ, PATH=os.pathsep.join([*map(str, programs), os.environ["PATH"]]), LC_ALL="C")
    for command, lines in commands(path.read_text()):
        result = subprocess.run(command, shell=True, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert result.returncode == 0, f"{command}\n{result.stdout}"
        yield command, lines, result.stdout


def check_printed(command, lines, printed):
    """Holds what a command printed to the page."""
    assert pattern(lines).fullmatch(printed), f"$ {command}\nprinted\n{printed[:20000]}"
