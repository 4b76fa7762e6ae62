"""Artefacts for the tests of this folder, and ways to spoil them."""

import hashlib
import json
import shutil

from driver import Run
from manifests import manifest_of


def compiled(kvqc, source, out, *arguments):
    """Compiles into `out`, which is returned."""
    Run(kvqc, "compile", source, "-o", out, *arguments).succeeds()
    return out


def rewrite(folder, change):
    """Lets `change` work on the manifest, which is then written back."""
    manifest = manifest_of(folder)
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def replace(folder, name, content):
    """Puts other bytes in a file, and their hash in the manifest."""
    (folder / name).write_bytes(content)
    rewrite(folder, lambda manifest: manifest["sha256"].update({name: hashlib.sha256(content).hexdigest()}))


def copy_of(folder, place):
    return shutil.copytree(folder, place, symlinks=True)
