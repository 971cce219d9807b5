"""The demo: one command runs the whole path, and its table says what came out."""

import sys
from pathlib import Path

import pytest
from pickles import pickles_in
from python_processes import run_python

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.crops import uncropped_rows
from affect_data.errors import DataError
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_train.study import demo
from affect_train.study.demo import METRICS, run_demo, table


def result(teacher, student):
    scores = {
        "teacher": {name: teacher for name, _ in METRICS},
        "student": {name: student for name, _ in METRICS},
    }
    return {"seed": 7, "scores": scores}


def test_the_table_shows_both_models_and_their_difference():
    lines = table(result(0.5, 0.625)).splitlines()

    assert [line.split("|")[2].strip() for line in lines] == ["model", "-" * 12, "teacher", "student", "difference"]
    assert [line.split("|")[3].strip() for line in lines[2:]] == ["0.500", "0.625", "+0.125"]


def test_a_metric_that_is_not_defined_is_a_dash():
    lines = table(result(None, 0.625)).splitlines()

    assert [line.split("|")[3].strip() for line in lines[2:]] == ["–", "0.625", "–"]


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")

    with pytest.raises(DataError, match="is not empty; name a new folder"):
        run_demo(tmp_path, 0)


def run_loaded(command, environment, stdout):
    """Each step in a process of its own, as the demo starts it, but one that has loaded the libraries."""
    assert command[0] == sys.executable
    assert stdout is sys.stderr
    done = run_python(command[1:], environment=environment)
    sys.stderr.write(done.stdout + done.stderr)
    return done.returncode


@pytest.mark.slow
def test_one_command_runs_the_whole_path(tmp_path, monkeypatch, one_process_recipes):
    monkeypatch.chdir(one_process_recipes.parent)
    monkeypatch.setattr(demo, "run_program", run_loaded)

    made = run_demo(tmp_path / "demo", 0, ["training.max_steps=3", "schedule.warmup_steps=1"], faces=200)
    assert pickles_in(tmp_path / "demo") == []

    assert all(Path(path).exists() for path in made["paths"].values())
    dataset = open_dataset(made["paths"]["dataset"])
    assert "soft.teacher" in dataset.groups("train")
    if not LibFaceDetection.missing():
        assert {"faces", "crops.loose-1.3"} <= set(dataset.groups("train"))
        assert sum(uncropped_rows(dataset, "loose-1.3").values()) < 0.02 * sum(dataset.manifest.rows.values())
    assert table(made).count("\n") == 4
