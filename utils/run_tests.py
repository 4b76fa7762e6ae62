#!/usr/bin/env python3
"""Runs every registered test of a build folder with CTest and closes with one line that counts them.

    utils/run_tests.py build/release [ctest arguments, e.g. -R Dialect or -L lit]

CTest runs the gtest cases one by one, and a lit folder or a file of pytest cases as one test each; those write result files, from which
their cases are counted singly. The exit status is 0 when nothing failed and something passed.
"""

import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree


def outcome(case):
    """passed, failed or skipped, and the reason, of a JUnit test case."""
    for tag in ("failure", "error"):
        if case.find(tag) is not None:
            return "failed", ""
    skipped = case.find("skipped")
    if skipped is not None:
        said = re.search(r": Skipped\n(.+)", case.findtext("system-out") or "")
        return "skipped", said.group(1) if said else skipped.get("message", "")
    return {"fail": "failed", "notrun": "skipped", "disabled": "skipped"}.get(case.get("status"), "passed"), ""


def cases(path):
    """(name, class, outcome, reason) of each test case of a JUnit file; none where there is no such file or it breaks off."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return []
    return [(case.get("name"), case.get("classname") or "", *outcome(case)) for case in root.iter("testcase")]


def results(folder):
    """(name, outcome, reason) of every case behind CTest's own result file in `folder`."""
    for name, _, state, reason in cases(folder / "ctest.xml"):
        inner = cases(folder / (name.replace("/", "-") + ".xml")) if name.startswith(("lit/", "pytest/")) else []
        # A suite that failed without a failed case, such as one that crashed at its start, counts as itself.
        if not inner or (state == "failed" and all(case[2] != "failed" for case in inner)):
            yield name, state, reason
        for case, group, case_state, case_reason in inner:
            path = f"{group.removeprefix('kvq.')}/{case}" if name.startswith("lit/") else case
            yield f"{name}: {path}", case_state, case_reason


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, arguments = pathlib.Path(sys.argv[1]), sys.argv[2:]
    folder = (build / "test" / "results").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = ["ctest", "--test-dir", str(build), "--output-on-failure", "--no-tests=error", "-j", str(len(os.sched_getaffinity(0)))]
    status = subprocess.run([*command, "--output-junit", str(folder / "ctest.xml"), *arguments], stdin=subprocess.DEVNULL).returncode

    found = list(results(folder))
    count = collections.Counter(state for _, state, _ in found)
    reasons = collections.Counter(reason for _, state, reason in found if state == "skipped")
    print()
    for reason, number in sorted(reasons.items()):
        print(f"skipped {number}: {reason or 'no reason given'}")
    for name, state, _ in found:
        if state == "failed":
            print(f"failed: {name}")
    print(f"{build.name}: {count['passed']} tests passed, {count['failed']} failed, {count['skipped']} skipped, {len(found)} in all", flush=True)
    return 1 if status or count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
