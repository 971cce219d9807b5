"""The twin on real faces: ``python recipes/real_twin DATASET --out FOLDER``; README.md says how DATASET is made."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch
from arms import Twin, read_twin
from faces import Faces
from reporting import write_report
from running import Runner

from affect_data.dataset.folder import open_dataset
from affect_data.errors import AffectError, UsageError

ARMS = Path(__file__).with_name("arms.yaml")
QUICK = {"seeds": 2, "tuning_seeds": 1, "steps": 4, "batch": 8, "decays": (1.0, 3.0), "components": 16, "resamples": 3}
"""Everything runs and nothing is measured."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python recipes/real_twin", description=__doc__)
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="FER+ with stored features (README.md)")
    parser.add_argument("--out", type=Path, required=True, help="results; an arm that is there is not trained again")
    parser.add_argument("--features", default="dinov2", help="name of the stored features")
    parser.add_argument("--seeds", type=int, help="how many, in place of those of arms.yaml")
    parser.add_argument("--worlds", nargs="+", help="which of arms.yaml; all by default")
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that everything runs")
    return parser


def main(words: list[str] | None = None) -> None:
    """Runs the twin and writes ``report.md``, ``figures.json`` and a plot for each world."""
    given = arguments().parse_args(words)
    changes: dict[str, Any] = dict(QUICK) if given.quick else {}
    if given.seeds is not None:
        changes["seeds"] = given.seeds
    try:
        twin = read_twin(ARMS, changes)
        faces = read_faces(given.dataset, given.features, twin.components, given.out)
        run(twin, faces, given.out, given.worlds or list(twin.worlds))
    except AffectError as error:
        sys.exit(f"error: {error}")


def read_faces(dataset: Path, name: str, width: int, out: Path) -> Faces:
    """The faces, from ``faces.npz`` of the output if they were read before."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "faces.npz"
    origin = f"{open_dataset(dataset).fingerprint} {name} {width}" if (dataset / "dataset.json").is_file() else ""
    found = Faces.load(path, origin) if origin else None
    if found is None:
        found = Faces.read(dataset, name, width)
        found.save(path, origin)
    print(", ".join(f"{what} {count:,}" for what, count in found.account.items()), flush=True)
    return found


def run(twin: Twin, faces: Faces, out: Path, worlds: list[str]) -> None:
    """All arms of the worlds, and the report on them."""
    torch.set_num_threads(1)
    started = time.monotonic()
    unknown = [name for name in worlds if name not in twin.worlds]
    if unknown:
        raise UsageError(f"arms.yaml has no world {unknown[0]!r}; known: {', '.join(twin.worlds)}")
    results = {}
    for name in worlds:
        results[name] = Runner(twin, name, faces, out / name, say=lambda line: print(line, flush=True)).run()
        write_report(twin, faces, results, out)
    print(f"{out / 'report.md'} after {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
