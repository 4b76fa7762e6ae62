"""Runs kvq's benchmarks; started by benchmarks/run, which sees to the build and the packages."""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import subprocess

import compile_time
import gpu_kernels
import host_kernels
import import_time
import launches
import python_launches
import rebuild_time
import start_time
from settings import ROOT, Settings, gpu_name

PARTS = {
    "compile": compile_time,
    "rebuild": rebuild_time,
    "start": start_time,
    "import": import_time,
    "host": host_kernels,
    "launch": launches,
    "python": python_launches,
    "gpu": gpu_kernels,
}


def describe_machine():
    """The machine by its parts, without its name."""
    facts = {}
    for line in subprocess.run(["lscpu"], capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}).stdout.splitlines():
        name, _, value = line.partition(":")
        facts[name.strip()] = value.strip()
    found = {"gpu": name} if (name := gpu_name()) else {}
    return found | {
        "cpu": facts.get("Model name", platform.machine()),
        "cores": os.cpu_count(),
        "caches": {level: facts[f"{level} cache"] for level in ("L1d", "L2", "L3") if f"{level} cache" in facts},
        "virtual": facts.get("Hypervisor vendor", "no"),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "load_before": round(os.getloadavg()[0], 2),
    }


def to_json(value):
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    raise TypeError(f"expected a dataclass, but got {type(value).__name__}")


def align(rows):
    """The rows as lines of a Markdown table that reads well as text too."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [lines[0], rule, *lines[1:]]


def report(part, results):
    """The Markdown of one part."""
    text = []
    for table in PARTS[part].tables(results):
        text += [f"## {table.title}", "", *([table.note, ""] if table.note else []), *align(table.rows), ""]
    return "\n".join(text)


def heading(machine, date):
    caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    gpu = f"{machine['gpu']} beside " if "gpu" in machine else ""
    return (
        f"# Measurements of {date}\n\n"
        f"{gpu}{machine['cpu']}, {machine['cores']} cores ({caches}), {machine['memory_gib']} GiB, {machine['system']}; "
        f"virtual: {machine['virtual']}. Load average before: {machine['load_before']}. The machine is shared, so times are medians or minima, and "
        "ratios are within this run.\n"
    )


def main():
    parser = argparse.ArgumentParser(prog="benchmarks/run", description="Measures kvq beside its peers and writes benchmarks/results/.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--runs", type=int, default=20, help="how often each thing is measured (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=5, help="how many new processes a first time is measured in (default: %(default)s)")
    parser.add_argument("--shards", type=int, default=1000, help="shards of the checkpoint that is imported (default: %(default)s)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", help="the build folder (default: build/release)")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "benchmarks" / "results", help="where to write (default: benchmarks/results)")
    options = parser.parse_args()
    if unknown := sorted(set(options.parts) - set(PARTS)):
        parser.error(f"expected parts among {', '.join(PARTS)}, but got {', '.join(unknown)}")

    settings = Settings(options.build, options.runs, options.processes, options.shards)
    date, machine = datetime.date.today().isoformat(), describe_machine()
    results, texts = {"date": date, "machine": machine}, [heading(machine, date)]
    print(texts[0])
    for part in PARTS:
        if options.parts and part not in options.parts:
            continue
        results[part] = PARTS[part].measure(settings)
        texts.append(report(part, results[part]))
        print(texts[-1], flush=True)
    device = machine["gpu"].lower().replace(" ", "-") if "gpu" in machine else "cpu"
    stem = options.results / "-".join([date, device, *(part for part in PARTS if part in options.parts)])
    options.results.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".json").write_text(json.dumps(results, indent=2, default=to_json, ensure_ascii=False) + "\n")
    stem.with_suffix(".md").write_text("\n".join(texts).rstrip("\n") + "\n")
    print(f"Written: {stem}.md and .json")


if __name__ == "__main__":
    main()
