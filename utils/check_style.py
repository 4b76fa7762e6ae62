#!/usr/bin/env python3
"""Checks of the repository's files that no other tool makes: length, whitespace, diagnostics, names, words.

    utils/check_style.py [CHECK...]     all checks, or those named; prints one line per finding, exit status 1 where there are any

The local hooks, .ci/run and test/Style/test_files.py run the same checks.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_LINES = 500
CODE = (".h", ".cpp", ".def", ".td", ".py", ".cmake", ".mlir", ".test", ".in", "")
# Generated or verbatim texts, and data.
UNTOUCHED = ("docs/reference/", "LICENSE", "benchmarks/results/")


def files():
    """(path, text) of every text file of the repository, what git ignores left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in sorted(set(listed.split("\0")) - {""}):
        path = ROOT / name
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" not in data:
            yield name, data.decode("utf-8", errors="replace")


def authored(name):
    """Whether a file is written by hand and no test input, which may hold anything."""
    return not name.startswith(UNTOUCHED) and "/Inputs/" not in name


def check_length():
    """Files of code and tests have at most 500 lines."""
    for name, text in files():
        count = text.count("\n")
        if authored(name) and pathlib.PurePath(name).suffix in CODE and count > MAX_LINES:
            yield f"{name}:{MAX_LINES + 1}: expected at most {MAX_LINES} lines, but got {count}"


def check_whitespace():
    """No trailing blanks, tabs or carriage returns; one newline at the end."""
    for name, text in files():
        if not authored(name):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                yield f"{name}:{number}: trailing whitespace"
            if "\t" in line:
                yield f"{name}:{number}: a tab"
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield f"{name}: expected one newline at the end"


# A call that makes an error, up to the end of its statement, and the literals in it.
ERROR_CALL = re.compile(r"\b(?:\w*[eE]rror|fail\w*)\s*\((?:[^;\"]|\"(?:[^\"\\]|\\.)*\")*;")
LITERAL = re.compile(r"\"((?:[^\"\\]|\\.)*)\"")
# The rules' texts are repeated to the letter from where the rules come from.
REPEATED = ("lib/Resolve/Rules.cpp", "lib/Checkpoint/LegacyJson.cpp")
JOINED = re.compile(r"\"\s*\n\s*\"")


def wrong_message(first, last):
    """What is wrong with an error text whose first and last literals these are, or None."""
    letter = first.lstrip("'\\n ")[:1]
    if letter.isupper() and not re.match(r"[A-Z0-9_]{2,}|[A-Z]\d", first.lstrip("' ")):
        return f"an error starts with a lower case letter: '{first}'"
    if last.endswith(".") and not last.endswith("..."):
        return f"an error has no final period: '{last}'"
    return None


def check_diagnostics():
    """Errors start with a lower case letter and have no final period."""
    for name, text in files():
        if not name.startswith(("lib/", "tools/", "include/", "python/")) or not name.endswith((".h", ".cpp")):
            continue
        if name in REPEATED:
            continue
        text = re.sub(r"^\s*(//|#).*$", "", text, flags=re.MULTILINE)
        for call in ERROR_CALL.finditer(text):
            literals = [literal for literal in LITERAL.findall(JOINED.sub("", call.group())) if re.search(r"[A-Za-z].* |^ ?[a-z]", literal)]
            message = wrong_message(literals[0], literals[-1]) if literals else None
            if message:
                yield f"{name}: {message}"


# Places of one machine, hosts of package registries, and notes to oneself.
WORDS = [
    (re.compile(r"(?<![\w.}/*-])/(?:root|home|work|Users)/"), "a path of one machine"),
    (re.compile(r"\b(?:pypi\.org|pythonhosted\.org|deb\.debian\.org|nvidia\.com/compute|conda\.anaconda\.org)"), "a registry's host"),
    (re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))"), "a note to do without an issue: write TODO(#5) or open one"),
    (re.compile(r"[Aa]rtifact"), "spelt 'artefact' here"),
]


def check_words():
    """No paths of one machine, no registry hosts, no loose notes."""
    for name, text in files():
        if not authored(name) or name == "utils/check_style.py":
            continue
        for number, line in enumerate(text.split("\n"), 1):
            for pattern, what in WORDS:
                if pattern.search(line):
                    yield f"{name}:{number}: {what}: {line.strip()}"


def check_names():
    """Files are named by their subject; sources carry the licence line."""
    for name, text in files():
        if re.search(r"(?i)(^|/)(utils?|utilit(y|ies)|helpers?|misc)\.\w+$", name):
            yield f"{name}: named after no subject"
        if name.endswith((".h", ".cpp", ".td")) and authored(name) and "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception" not in text[:600]:
            yield f"{name}: expected the licence lines at the top"


CHECKS = {
    "length": check_length,
    "whitespace": check_whitespace,
    "diagnostics": check_diagnostics,
    "words": check_words,
    "names": check_names,
}


def main():
    names = sys.argv[1:] or list(CHECKS)
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        sys.exit(f"error: expected checks among {list(CHECKS)}, but got {unknown}")
    findings = [finding for name in names for finding in CHECKS[name]()]
    print("\n".join(findings), end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
