"""The committed table of the rules' outcomes is what vLLM's function gives."""

import subprocess
import sys

import pytest


def test_table_is_up_to_date(source_dir, tmp_path):
    seed = source_dir.parent / "shared" / "seed-vllm-kv-cache.txt"
    if not seed.is_file():
        pytest.skip("no file shared/seed-vllm-kv-cache.txt beside the repository")
    made = tmp_path / "rules_table.txt"
    subprocess.run([sys.executable, source_dir / "utils" / "make_rules_table.py", seed, "-o", made], check=True)
    committed = source_dir / "test" / "Unit" / "Resolve" / "rules_table.txt"
    assert made.read_text() == committed.read_text(), "run utils/make_rules_table.py ../shared/seed-vllm-kv-cache.txt"
