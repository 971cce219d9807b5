"""What a report of a defect needs to say about the machine and what is installed on it; no name of a person or a machine."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Final

NAME: Final = "affectkit"

CACHES: Final = {
    "AFFECT_CACHE": "~/.cache/affectkit",
    "HF_HOME": "~/.cache/huggingface",
    "TORCH_HOME": "~/.cache/torch",
}
"""Where affectkit keeps what it can make again, and libraries what they have downloaded: the variable that says so, and the folder without it."""

SETTINGS: Final = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET")
"""Variables of others that change what commands do. Our own begin with ``AFFECT_``."""


def own_version() -> str:
    """The version of affectkit that is installed."""
    try:
        return version(NAME)
    except PackageNotFoundError:
        return "unknown: affectkit is not installed, its code is on Python's path alone"


def environment() -> dict[str, Any]:
    """Versions, the machine's kind, caches and settings, as plain values."""
    home = Path.home()
    caches = {name: Path(os.environ.get(name) or usual).expanduser() for name, usual in CACHES.items()}
    ours = sorted(name for name in os.environ if name.startswith("AFFECT_"))
    return {
        NAME: own_version(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} on {platform.machine()}",
        "processors": processors(),
        "packages": {name: _installed(name) for name in _packages()},
        "caches": {
            name: f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
            for name, path in caches.items()
        },
        "settings": {name: os.environ[name] for name in (*SETTINGS, *ours) if name in os.environ},
    }


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _packages() -> list[str]:
    """The packages that affectkit names, needed and optional ones, alphabetical."""
    try:
        stated = requires(NAME) or []
    except PackageNotFoundError:
        return []
    ends = str.maketrans(dict.fromkeys("<>=!~;[ (", "\n"))
    return sorted(
        {name.translate(ends).split("\n")[0] for name in stated if "extra == 'dev'" not in name.replace('"', "'")}
    )


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
