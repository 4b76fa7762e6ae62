"""From a layer's kernels to PTX, cubin and hsaco: kvq beside nvcc, NVRTC and Triton on the same kernels in the same run."""

import os
import statistics
import sys
import tempfile

from settings import PEERS, SCALES, Table, find_nvcc, run_json, time_command
from statistics_of import Samples, milliseconds, ratio

NVIDIA, AMD = "sm_90", "gfx942"


def measure(settings):
    """[{"product", "compiler", "first": seconds or None, "next": Samples, "stages"?}, …]; kvq's entries come first of a product's."""
    results = []
    for product in ("ptx", "cubin", "hsaco"):
        results += measure_kvq(settings, product)
        if product != "hsaco":
            results += measure_nvrtc(settings, product)
            results += measure_nvcc(settings, product)
        if product != "ptx":
            results += measure_triton(settings, product)
    return results


def measure_kvq(settings, product):
    chip = AMD if product == "hsaco" else NVIDIA
    command = [settings.program("kvq-bench-compile"), f"--chip={chip}", f"--runs={settings.runs}", f"--assemble={int(product == 'cubin')}"]
    for assembler in ("nvjitlink", "ptxas") if product == "cubin" else ("",):
        environment = os.environ | ({"KVQ_PTX_ASSEMBLER": assembler} if assembler else {})
        processes = [run_json(command, env=environment) for _ in range(settings.processes)]
        if processes[0] is None:
            continue
        best = min(processes, key=lambda process: process["warm"]["total"]["median"])
        yield {
            "product": product,
            "compiler": f"kvq ({assembler})" if assembler else "kvq",
            "first": statistics.median(process["first"]["total"] for process in processes),
            "next": Samples.read(best["warm"]["total"]),
            "stages": {stage: Samples.read(entry) for stage, entry in best["warm"].items()},
        }


def from_processes(settings, product, compiler, command):
    """A peer timed inside processes of its own, from the JSON that it prints."""
    processes = [run_json(command) for _ in range(settings.processes)]
    if processes[0] is None:
        return
    yield {
        "product": product,
        "compiler": f"{compiler} {processes[0]['version']}",
        "first": statistics.median(process["first"] for process in processes),
        "next": min((Samples.of(process["next"]) for process in processes), key=lambda samples: samples.median),
    }


def measure_nvrtc(settings, product):
    command = [sys.executable, str(PEERS / "time_nvrtc.py"), str(settings.runs), NVIDIA, product]
    yield from from_processes(settings, product, "NVRTC", command)
    for result in from_processes(settings, product, "NVRTC", [*command, "-DKVQ_PEER_PTX"]):
        yield result | {"compiler": result["compiler"] + " without headers"}


def measure_triton(settings, product):
    command = [sys.executable, str(PEERS / "time_triton.py"), AMD if product == "hsaco" else NVIDIA, str(settings.runs)]
    yield from from_processes(settings, product, "Triton", command)


def measure_nvcc(settings, product):
    nvcc = find_nvcc()
    if nvcc is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, f"-arch={NVIDIA}", f"-{product}", *SCALES, "-o", f"{folder}/kernels", str(PEERS / "kernels.cu")]
        yield {"product": product, "compiler": "nvcc", "first": None, "next": time_command(command, settings.processes)}


def tables(results):
    rows = [["product", "compiler", "first, ms", "next, ms (median)", "next, ms (min)", "first ÷ kvq's next", "next ÷ kvq's next"]]
    for product in dict.fromkeys(result["product"] for result in results):
        entries = [result for result in results if result["product"] == product]
        kvq = min(entry["next"].median for entry in entries if entry["compiler"].startswith("kvq"))
        for entry in entries:
            first, following = entry["first"], entry["next"]
            rows.append([
                product, entry["compiler"], "–" if first is None else milliseconds(first), following.ms(), following.ms("minimum"),
                "–" if first is None else ratio(first, kvq), ratio(following.median, kvq),
            ])  # fmt: skip
    yield Table(
        f"Compilation of a store and a load kernel ({NVIDIA}, {AMD})",
        rows,
        "Times are for both kernels. First: in a new process; kvq's includes all of main, NVRTC's not the loading of its library, Triton's not "
        "its import. Next: again in that process, with other scales, nothing cached; nvcc's is the whole program.",
    )
    rows = [["product", "stage", "median, ms", "min, ms"]]
    for entry in results:
        for stage, samples in entry.get("stages", {}).items():
            rows.append([f"{entry['product']}, {entry['compiler']}", stage, samples.ms(), samples.ms("minimum")])
    yield Table("kvq's stages", rows, "Both kernels. Every run parses, resolves, generates, proves and lowers anew, in a context of its own.")
