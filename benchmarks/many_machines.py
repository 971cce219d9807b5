"""Parts of a build, and verifying: what they cost beside a build on one machine, and beside merely reading and hashing the same files.

    python benchmarks/many_machines.py                  # 40,000 JPEGs of 112 px

Every command has a fresh process, whose start counts. "At once" means two processes on this machine; on two machines each has a disk cache and
processors of its own. Before figures are printed, the dataset of the parts is compared with that of one build, file by file.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from build import draw
from common import machine, one_thread

RECIPE = "databases: {expw: {incomplete: accepted}}\nshard_rows: 2000\n"


@dataclass(frozen=True)
class Cost:
    """What some commands that ran at once cost: seconds, processor seconds of all, and bytes of memory of the largest."""

    wall: float
    cpu: float
    memory: int


def cost_of(*commands: Sequence[object]) -> Cost:
    """What commands cost that run at once."""
    began = time.perf_counter()
    started = [
        subprocess.Popen([str(word) for word in words], env=one_thread(), stdout=subprocess.DEVNULL)
        for words in commands
    ]
    cpu, memory = 0.0, 0
    for process in started:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, process.args
        cpu += used.ru_utime + used.ru_stime
        memory = max(memory, used.ru_maxrss * 1024)
    return Cost(time.perf_counter() - began, cpu, memory)


def affect_data(*words: object) -> list[object]:
    """A command line."""
    return [sys.executable, "-m", "affect_data", *words]


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of all files that are not hidden."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    shown = {path.relative_to(folder): path for path in files}
    return {
        str(name): hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in shown.items()
        if not any(part.startswith(".") for part in name.parts)
    }


def built(folder: Path, recipe: Path) -> dict[str, Cost]:
    """The costs of building, whole and by two parts."""
    common = ["--roots", folder / "roots"]
    parts = [affect_data("build", recipe, folder / "merged", *common, "--part", f"{number}/2") for number in (1, 2)]
    found = {
        "build, 1 worker": cost_of(affect_data("build", recipe, folder / "local", *common)),
        "build, 2 workers": cost_of(affect_data("build", recipe, folder / "two", *common, "--workers", 2)),
        "--part 1/2 and 2/2 at once": cost_of(*parts),
        "--finish": cost_of(affect_data("build", recipe, folder / "merged", *common, "--finish")),
    }
    assert digests(folder / "merged") == digests(folder / "local") == digests(folder / "two")
    return found


def verified(folder: Path) -> dict[str, Cost]:
    """The costs of verifying, and of reading and hashing the same files."""
    files = sorted((folder / "local").rglob("*.arrow"))
    deep = affect_data("verify", folder / "local", "--deep")
    return {
        "cat of the shards": cost_of(["cat", *files]),
        "sha256sum of the shards": cost_of(["sha256sum", *files]),
        "verify (metadata: the start of the command)": cost_of(affect_data("verify", folder / "local")),
        **{f"verify --deep, {workers} workers": cost_of([*deep, "--workers", workers]) for workers in (1, 2)},
        **{
            f"verify --deep with the sources, {workers} workers": cost_of(
                [*deep, "--workers", workers, "--roots", folder / "roots"]
            )
            for workers in (1, 2)
        },
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        draw(folder / "roots/expw", options.pictures)
        recipe = folder / "recipe.yaml"
        recipe.write_text(RECIPE)
        found = built(folder, recipe)
        size = sum(path.stat().st_size for path in (folder / "local").rglob("*.arrow"))
        found |= verified(folder)
    print(f"{machine()}; {options.pictures:,} pictures, {size / 1e6:,.0f} MB of shards\n")
    print("| command | s | processor s | MB of shards a second | peak memory, MB |\n|---|---|---|---|---|")
    for name, cost in found.items():
        print(
            f"| {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {size / 1e6 / cost.wall:,.0f} | {cost.memory / 1e6:,.0f} |"
        )


if __name__ == "__main__":
    main()
