"""The whole path on drawn faces: demo databases, one dataset with its faces cut out, a teacher, its soft labels, a student, and one table.

Every step is a command that a user could have typed; it is shown before it runs.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from affect_data.bounds import read_json
from affect_data.errors import DataError
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.processes import run_program
from affect_train.run_folder import RunFolder

RECIPES: Final = Path("recipes/demo")
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
    databases, dataset, teacher, student = out / "databases", out / "dataset", out / "teacher", out / "student"
    report = out / "report.html"
    drawn = [] if faces is None else ["--faces", str(faces)]
    train = ["affect_train", "train"]
    common = [f"dataset={dataset}", f"seed={seed}", *overrides]
    steps = [
        ["affect_data", "demo", str(databases), "--seed", str(seed), "--workers", "2", *drawn],
        ["affect_data", "build", str(RECIPES / "data.yaml"), str(dataset), "--roots", str(databases)],
        ["affect_data", "stats", str(dataset)],
        *(
            []
            if LibFaceDetection.missing()
            else [["affect_data", "align", str(dataset), "--crops", CROPS, "--workers", "2"]]
        ),
        [*train, str(RECIPES / "teacher.yaml"), *common, f"output={teacher}"],
        ["affect_train", "label", str(teacher), str(dataset), "--name", "teacher"],
        [*train, str(RECIPES / "student.yaml"), *common, f"output={student}"],
        ["affect_train", "evaluate", str(teacher), str(dataset), "--split", "validation"],
        ["affect_train", "evaluate", str(student), str(dataset), "--split", "validation"],
        ["affect_data", "report", str(dataset), "--out", str(report), "--run", str(student), "--faces"],
    ]
    started = time.monotonic()
    if because := LibFaceDetection.missing():
        Console(stderr=True, highlight=False).print(f"No face is looked for: {because}", markup=False, soft_wrap=True)
    for step in steps:
        _run(step)
    scores = {name: _scores(RunFolder(run).evaluation) for name, run in (("teacher", teacher), ("student", student))}
    result: dict[str, Any] = {
        "seed": seed,
        "seconds": round(time.monotonic() - started),
        "scores": scores,
        "paths": {"dataset": str(dataset), "teacher": str(teacher / "model"), "student": str(student / "model")},
    }
    result["paths"]["report"] = str(report)
    return result


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
