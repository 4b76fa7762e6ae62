"""The host's kernels on one thread, as shares of memcpy's bandwidth over the same bytes."""

from settings import Table, run_json

SETS = {"in_cache": "in the second-level cache", "out_of_cache": "out of cache"}


def measure(settings):
    """What kvq-bench-host prints."""
    return run_json([settings.program("kvq-bench-host"), f"--repeats={settings.runs}"])


def tables(results):
    for key, where in SETS.items():
        rows = [["case", "K's arithmetic", "memcpy, GB/s", "store, 10⁹/s", "of memcpy", "load, 10⁹/s", "of memcpy"]]
        for case in results:
            measured = case[key]
            copy = measured["memcpy"]["min"]
            row = [case["case"], f"{case['store_method']}, {case['load_method']}", f"{measured['bytes_moved'] / copy / 1e9:.1f}"]
            for op in ("store", "load"):
                row += [f"{measured['values'] / measured[op]['min'] / 1e9:.2f}", f"{copy / measured[op]['min']:.0%}"]
            rows.append(row)
        tokens, runs = results[0][key]["tokens"], results[0][key]["store"]["runs"]
        note = f"{tokens} tokens of 8 heads of 128 numbers, K and V; the least of {runs} times. Bytes read and bytes written count."
        yield Table(f"Host kernels, one thread, {where}", rows, note)
