"""Wheels made up for tests, in a folder that uv installs from instead of an index, and the lock that names them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path


def wheel(folder: Path, name: str, tag: str, files: Mapping[str, str], scripts: Mapping[str, str] | None = None) -> Path:
    """Write `name` 1.0 for one tag, as cp312-cp312-manylinux_2_28_x86_64. `scripts`: console script -> module:function."""
    path = folder / f"{name}-1.0-{tag}.whl"
    about = f"{name}-1.0.dist-info"
    contents = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    if scripts:
        contents[f"{about}/entry_points.txt"] = "[console_scripts]\n" + "".join(f"{key} = {value}\n" for key, value in scripts.items())
    record = "".join(f"{key},,\n" for key in [*contents, f"{about}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for key, text in {**contents, f"{about}/RECORD": record}.items():
            archive.writestr(key, text)
    return path


def lock(*wheels: Path) -> bytes:
    """requirements.lock of some wheels; those of one package are its choices."""
    lines: dict[str, list[str]] = {}
    for path in wheels:
        lines.setdefault(path.name.split("-")[0], []).append(f"--hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    return "".join(f"{name}==1.0 \\\n    " + " \\\n    ".join(hashes) + "\n" for name, hashes in lines.items()).encode()
