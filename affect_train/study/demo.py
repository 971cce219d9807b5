"""The whole path on drawn faces: databases, one dataset, its faces, a teacher, soft labels, a student, one table, and predictions.

Every step is a command that a user could have typed; it is shown before it runs.
"""

import os
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from affect_data.bounds import read_json
from affect_data.errors import DataError
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.processes import run_program
from affect_train.run_folder import RunFolder

RECIPES: Final = Path("recipes/demo")
REPORT: Final = "report.html"
SEVERAL_FACES: Final = 5
"""Number of a photograph of ExpW that shows three people."""
CROPS: Final = "loose-1.3"
"""Faces are found and cut out by this policy; both models are trained on the pictures as they are, with their boxes."""

METRICS: Final = (
    ("AU mean F1", ("au", "mean_f1")),
    ("expression macro-F1", ("expression", "macro_f1")),
    ("expression accuracy", ("expression", "accuracy")),
    ("valence CCC", ("va", "valence_ccc")),
    ("arousal CCC", ("va", "arousal_ccc")),
)


class DemoFailedError(DataError):
    """A step of the demo ended with an error, which it has printed."""

    def __init__(self, command: str, status: int) -> None:
        super().__init__(f"the step `{command}` ended with status {status}; its message stands above")


def run_demo(out: Path, seed: int, overrides: Sequence[str] = (), faces: int | None = None) -> dict[str, Any]:
    """What the demo made in a new folder: paths, seconds and the table's numbers.

    Args:
        out: a new or empty folder.
        seed: of the faces and of both trainings.
        overrides: ``key=value`` for both training recipes.
        faces: about how many faces to draw.

    Raises:
        DataError: the folder is not empty, or the recipes are not found.
        DemoFailedError: a step failed.
    """
    if out.exists() and any(out.iterdir()):
        raise DataError(f"'{out}' is not empty; name a new folder, or remove it to run the demo again")
    if not RECIPES.is_dir():
        raise DataError(f"the recipes of the demo are not under '{RECIPES}': run it from the root of the repository")
    started, lacking = time.monotonic(), _lacking()
    if lacking:
        Console(stderr=True, highlight=False).print(f"No faces are looked for: {lacking}", markup=False, soft_wrap=True)
    for step in _steps(out, seed, overrides, faces, finds_faces=not lacking):
        _run(step)
    results = out / "results"
    if not lacking:
        # What is shown is known only now that the databases are written.
        _run(
            [
                "affect_train",
                "predict",
                str(out / "student"),
                *_shown(out / "databases"),
                "--out",
                str(results),
                "--draw",
            ]
        )
    models = {name: out / name for name in ("teacher", "student")}
    return {
        "seed": seed,
        "seconds": round(time.monotonic() - started),
        "scores": {name: _scores(RunFolder(run).evaluation) for name, run in models.items()},
        "paths": {
            "dataset": str(out / "dataset"),
            **{name: str(run / "model") for name, run in models.items()},
            "report": str(out / REPORT),
            **({} if lacking else {"results": str(results)}),
        },
    }


def _lacking() -> str:
    """What must be installed to find faces in photographs and clips; empty if nothing."""
    decoder = "" if find_spec("av") else "av is not installed: pip install 'affectkit[demo]'"
    return LibFaceDetection.missing() or decoder


def _steps(out: Path, seed: int, overrides: Sequence[str], faces: int | None, *, finds_faces: bool) -> list[list[str]]:
    """The commands of the demo up to the report, in order."""
    databases, dataset, teacher, student = (str(out / name) for name in ("databases", "dataset", "teacher", "student"))
    drawn = [] if faces is None else ["--faces", str(faces)]
    align = ["affect_data", "align", dataset, "--crops", CROPS, "--workers", "2"]
    train, common = ["affect_train", "train"], [f"dataset={dataset}", f"seed={seed}", *overrides]
    return [
        ["affect_data", "demo", databases, "--seed", str(seed), "--workers", "2", *drawn],
        ["affect_data", "build", str(RECIPES / "data.yaml"), dataset, "--roots", databases],
        ["affect_data", "stats", dataset],
        *([align] if finds_faces else []),
        [*train, str(RECIPES / "teacher.yaml"), *common, f"output={teacher}"],
        ["affect_train", "label", teacher, dataset, "--name", "teacher"],
        [*train, str(RECIPES / "student.yaml"), *common, f"output={student}"],
        ["affect_train", "evaluate", teacher, dataset, "--split", "validation"],
        ["affect_train", "evaluate", student, dataset, "--split", "validation"],
        ["affect_data", "report", dataset, "--out", str(out / REPORT), "--run", student, "--faces"],
    ]


def _shown(databases: Path) -> list[str]:
    """A clip of the demo databases and a photograph of several people."""
    photographs = sorted((databases / "expw" / "image" / "origin").glob(f"*_{SEVERAL_FACES}.jpg"))
    return [str(path) for path in (*sorted(databases.rglob("*.avi")), *photographs)]


def table(result: dict[str, Any]) -> str:
    """Teacher against student, as a Markdown table."""
    header = ["seed", "model", *(name for name, _ in METRICS)]
    scores = result["scores"]
    rows = [
        [str(result["seed"]), model, *(_number(scores[model][name], "") for name, _ in METRICS)] for model in scores
    ]
    differences = [_difference(scores["student"][name], scores["teacher"][name]) for name, _ in METRICS]
    rows.append(["", "difference", *(_number(value, "+") for value in differences)])
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [header, *rows]
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _number(value: float | None, sign: str) -> str:
    """A number with three decimals; a dash if it is not defined, as with too few labels."""
    return "–" if value is None else f"{value:{sign}.3f}"


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _run(step: Sequence[str]) -> None:
    console = Console(stderr=True, highlight=False)
    command = " ".join([step[0].replace("_", "-"), *step[1:]])
    console.rule(style="dim")
    console.print(f"$ {command}", markup=False, soft_wrap=True)
    began = time.monotonic()
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    status = run_program([sys.executable, "-m", *step], environment, stdout=sys.stderr)
    if status:
        raise DemoFailedError(command, status)
    console.print(f"  {time.monotonic() - began:.0f} s", markup=False)


def _scores(evaluation: Path) -> dict[str, float | None]:
    overall = read_json(evaluation)["splits"]["validation"]["overall"]
    return {name: overall[task][metric] for name, (task, metric) in METRICS}
