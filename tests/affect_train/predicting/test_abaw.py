"""The files of the ABAW challenges, from a table of faces by hand."""

from pathlib import Path

import polars as pl
import pytest

from affect_data.errors import UsageError
from affect_train.network.model import AffectConfig
from affect_train.predicting.abaw import submission_columns, write_submission
from affect_train.predicting.columns import FaceColumns
from affect_train.tasks import TaskSet

UNITS = (26, 1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25)
CLASSES = ("surprise", "neutral", "anger", "disgust", "fear", "happiness", "sadness")


def columns_of(tasks: TaskSet) -> FaceColumns:
    thresholds = [0.5] * len(tasks.action_units)
    return FaceColumns(
        AffectConfig(
            action_units=list(tasks.action_units),
            expressions=list(tasks.expressions),
            valence_arousal_bins=tasks.valence_arousal_bins,
            thresholds=thresholds,
        )
    )


@pytest.fixture
def table() -> pl.LazyFrame:
    """A clip of six frames: its main face in the frames 1, 2 and 4, another in frame 0."""
    rows = [("clip.mp4", 0, 1, "anger", 0.9, 0), ("clip.mp4", 1, 0, "surprise", 0.1, 1)]
    rows += [
        ("clip.mp4", 2, 0, "neutral", -0.2, 0),
        ("clip.mp4", 4, 0, "sadness", 0.3, 1),
        ("else.mp4", 0, 0, "fear", 0, 0),
    ]
    return pl.LazyFrame(
        [
            {
                "file": file,
                "frame": frame,
                "track": track,
                **{f"expression_{name}": float(name == shown) for name in CLASSES},
                **{f"AU{number:02d}_present": present * (number == 26) for number in UNITS},
                "valence": valence,
                "arousal": -valence,
            }
            for file, frame, track, shown, valence, present in rows
        ]
    )


def test_every_frame_has_a_line_also_those_without_the_main_face(table: pl.LazyFrame, tmp_path: Path) -> None:
    columns = columns_of(TaskSet(UNITS, CLASSES, 5))

    without = write_submission(tmp_path, {"clip.mp4": ("clip", 6), "none.mp4": ("none", 3)}, table, columns)

    assert without == ["none.mp4"]
    va = (tmp_path / "VA_Estimation_Challenge" / "clip.txt").read_text().splitlines()
    # frame 0 has what frame 1 has, frame 3 what frame 2 has, frame 5 what frame 4 has
    assert va == [
        "valence,arousal",
        "0.100,-0.100",
        "0.100,-0.100",
        "-0.200,0.200",
        "-0.200,0.200",
        "0.300,-0.300",
        "0.300,-0.300",
    ]
    classes = (tmp_path / "EXPR_Classification_Challenge" / "clip.txt").read_text().splitlines()
    assert classes == ["Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise", "6", "6", "0", "0", "5", "5"]
    units = (tmp_path / "AU_Detection_Challenge" / "clip.txt").read_text().splitlines()
    assert units[0] == "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
    assert [line[-1] for line in units[1:]] == ["1", "1", "0", "0", "1", "1"]
    assert {line[:-1] for line in units[1:]} == {"0," * 11}


def test_a_model_without_any_task_of_the_challenges_is_refused() -> None:
    with pytest.raises(UsageError, match="--format abaw: the model predicts neither the 12"):
        submission_columns(columns_of(TaskSet((1, 2))))
