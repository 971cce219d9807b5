"""The challenges' scores of files of predictions, against scikit-learn on the same lines."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score
from typer.testing import CliRunner

from affect_data.databases.affwild2.layout import ACTION_UNITS_12, EXPRESSIONS
from affect_data.errors import DataError, UnknownNameError, UsageError
from affect_train.cli.app import app
from affect_train.evaluation.submission import score_submission

HEADERS = {
    "AU_Detection_Challenge": ",".join(f"AU{number}" for number in ACTION_UNITS_12),
    "EXPR_Recognition_Challenge": ",".join(name.capitalize() for name in EXPRESSIONS),
    "VA_Estimation_Challenge": "valence,arousal",
}
VIDEOS = {"1-30-1280x720": 40, "video5_left": 25}
ANNOTATIONS = "6th ABAW Annotations"


def write(folder: Path, task: str, video: str, lines: list[list[float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = [",".join(f"{value:g}" for value in line) for line in lines]
    (folder / f"{video}.txt").write_text("\n".join([HEADERS[task], *text]) + "\n")


def drawn(rng: np.random.Generator, task: str, frames: int, invalid: float) -> list[list[float]]:
    """Lines of a task; a share is not annotated."""
    lines: list[list[float]] = []
    for _ in range(frames):
        none = rng.random() < invalid
        if task == "AU_Detection_Challenge":
            # AU26 is never there: neither annotated nor predicted, it counts 0.
            lines.append([-1.0] * 12 if none else [*rng.integers(0, 2, 11).astype(float).tolist(), 0.0])
        elif task == "EXPR_Recognition_Challenge":
            lines.append([-1.0 if none else float(rng.integers(0, 7))])
        else:
            lines.append([-5.0, -5.0] if none else rng.uniform(-1, 1, 2).round(3).tolist())
    return lines


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(3)
    root, submission = tmp_path / "AffWild2", tmp_path / "abaw"
    for task in HEADERS:
        for video, frames in VIDEOS.items():
            place = root / ANNOTATIONS / task / "Validation_Set"
            write(place, task, video, drawn(rng, task, frames, 0.2))
            write(root / ANNOTATIONS / task / "Train_Set", task, f"train_{video}", drawn(rng, task, 3, 0.2))
            # A clip may have more frames than are annotated.
            write(submission / task, task, video, drawn(rng, task, frames + 3, 0.0))
    return submission, root


def lines_of(folder: Path, task: str) -> np.ndarray:
    return np.concatenate(
        [
            np.loadtxt(folder / f"{video}.txt", delimiter=",", skiprows=1, ndmin=2)[:frames]
            for video, frames in VIDEOS.items()
        ]
    )


def test_scores_are_those_of_scikit_learn_over_the_annotated_frames(folders: tuple[Path, Path]) -> None:
    submission, root = folders
    found = score_submission(submission, root)["tasks"]
    true = {task: lines_of(root / ANNOTATIONS / task / "Validation_Set", task) for task in HEADERS}
    given = {task: lines_of(submission / task, task) for task in HEADERS}

    task = "AU_Detection_Challenge"
    kept = (true[task] != -1).all(axis=1)
    expected = f1_score(true[task][kept], given[task][kept], average="macro", zero_division=0)
    assert found["au"]["score"] == pytest.approx(expected)
    assert found["au"]["parts"]["au26"] == 0
    assert (found["au"]["frames"], found["au"]["frames_without_annotation"]) == (kept.sum(), (~kept).sum())

    task = "EXPR_Recognition_Challenge"
    kept = true[task][:, 0] != -1
    expected = f1_score(
        true[task][kept, 0], given[task][kept, 0], average="macro", labels=list(range(8)), zero_division=0
    )
    assert found["expression"]["score"] == pytest.approx(expected)

    task = "VA_Estimation_Challenge"
    kept = true[task][:, 0] != -5
    for place, axis in enumerate(("valence", "arousal")):
        x, y = given[task][kept, place], true[task][kept, place]
        covariance = np.cov(x, y, bias=True)
        expected = 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + (x.mean() - y.mean()) ** 2)
        assert found["va"]["parts"][axis] == pytest.approx(expected)
    assert found["va"]["videos"] == 2


def test_the_command_prints_each_task_and_what_it_is_made_of(folders: tuple[Path, Path]) -> None:
    shown = CliRunner().invoke(app, ["score", *map(str, folders)])
    assert shown.exit_code == 0, shown.output
    assert "[validation of abaw6]" in shown.stdout
    assert "  surprise" in shown.stdout
    document = json.loads(CliRunner().invoke(app, ["score", *map(str, folders), "--json"]).stdout)
    assert document["tasks"].keys() == {"au", "expression", "va"}


def test_all_that_is_wrong_with_the_files_is_said_at_once(folders: tuple[Path, Path]) -> None:
    submission, root = folders
    (submission / "VA_Estimation_Challenge/video5_left.txt").unlink()
    short = submission / "EXPR_Recognition_Challenge/video5_left.txt"
    short.write_text("\n".join(short.read_text().splitlines()[:11]))
    wrong = submission / "AU_Detection_Challenge/1-30-1280x720.txt"
    wrong.write_text(wrong.read_text().replace("AU26", "AU27"))
    bad = submission / "AU_Detection_Challenge/video5_left.txt"
    lines = bad.read_text().splitlines()
    bad.write_text("\n".join([*lines[:4], "yes,no", *lines[5:]]))
    with pytest.raises(DataError) as caught:
        score_submission(submission, root)
    text = str(caught.value)
    assert "cannot be scored, 4 file(s) at fault" in text
    assert "VA_Estimation_Challenge/video5_left.txt" in text
    assert "no such file" in text
    assert "10 lines after the header" in text
    assert "au27" in text
    assert "'yes,no'" in text


def test_folders_without_a_common_task_and_unknown_splits_are_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    submission, root = folders
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="have no task in common; name the folder that holds AU_Detection_Challenge"):
        score_submission(tmp_path / "empty", root)
    with pytest.raises(UsageError, match="holds no annotations with a file for each video"):
        score_submission(submission, tmp_path / "empty")
    with pytest.raises(UnknownNameError, match="unknown split of Aff-Wild2 'test'; known: train, validation"):
        score_submission(submission, root, "test")
