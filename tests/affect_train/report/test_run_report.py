"""The page about runs: what stands on it, what it says first, and which runs it refuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from affect_data.errors import UsageError
from affect_data.report.training_section import NotARunError
from affect_train.cli.app import app
from affect_train.cli.documents import ReportDocument
from affect_train.evaluation.curves import curves
from affect_train.evaluation.intervals import Clusters, confidence_intervals
from affect_train.evaluation.metrics import evaluate_predictions
from affect_train.evaluation.reliability import reliability
from affect_train.report.page import differing_settings, run_report
from affect_train.report.runs import NotComparableError, read_runs
from affect_train.report.verdicts import verdicts
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 12), ("neutral", "anger"), 20)
ROWS, PEOPLE = 240, 40
HOSTILE = "<script>alert(1)</script>"

WriteRun = Callable[..., Path]


def evaluation(skill: float, people: int, resamples: int, database: str) -> dict[str, Any]:
    """What a model of some skill (0: it guesses, 1: it knows) has on rows that are the same for all."""
    truth, noise = np.random.default_rng(0), np.random.default_rng(1)
    labels: dict[str, Any] = {
        "au": truth.integers(0, 2, (ROWS, 2)),
        "au_mask": np.ones((ROWS, 2), bool),
        "expression": truth.integers(0, 2, ROWS),
        "expression_mask": np.ones(ROWS, bool),
        "valence": truth.uniform(-1, 1, ROWS),
        "arousal": truth.uniform(-1, 1, ROWS),
        "va_mask": np.ones(ROWS, bool),
    }
    first = np.clip(skill * labels["expression"] + (1 - skill) * noise.random(ROWS), 0, 1)
    predictions = {
        "au": skill * labels["au"] + (1 - skill) * noise.random((ROWS, 2)),
        "expression": np.stack([1 - first, first], axis=1),
        **{a: skill * labels[a] + (1 - skill) * noise.uniform(-1, 1, ROWS) for a in ("valence", "arousal")},
    }
    metrics = evaluate_predictions(predictions, labels, TASKS)
    if resamples:
        same = np.arange(ROWS) % people
        clusters = Clusters.of(np.zeros(ROWS, np.int64), same, same)
        metrics["intervals"] = confidence_intervals(
            predictions, labels, TASKS, clusters, thresholds=np.array([0.5, 0.5]), resamples=resamples
        )
    drawn = {"reliability": reliability(predictions, labels, TASKS), "curves": curves(predictions, labels, TASKS)}
    return {"rows": ROWS, "overall": metrics, "databases": {database: {**metrics, **drawn}}, **drawn}


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Writes a run of some skill, with a rising score and a recipe."""

    def write(
        name: str,
        skill: float = 0.4,
        *,
        people: int = PEOPLE,
        resamples: int = 100,
        rate: float = 1e-3,
        database: str = "expw",
        splits: tuple[str, ...] = ("validation",),
        **stated: object,
    ) -> Path:
        run = tmp_path / name
        run.mkdir(parents=True)
        found = evaluation(skill, people, resamples, database)
        document = {"dataset": "merged", "fingerprint": "f", "splits": dict.fromkeys(splits, found), **stated}
        (run / "evaluation.json").write_text(json.dumps(document))
        lines = [
            {"kind": "train", "step": 1, "losses": {"au": 1.0}},
            {"kind": "evaluation", "step": 1, "metrics": {"score": 0.2, "au": {"mean_f1": 0.2}}},
            {"kind": "train", "step": 2, "losses": {"au": 0.5}},
            {"kind": "evaluation", "step": 2, "metrics": {"score": 0.4, "au": {"mean_f1": 0.4}}},
        ]
        (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"cut')
        recipe = {"tasks": {"action_units": [1, 12]}, "model": {"image_size": 32}, "optimizer": {"learning_rate": rate}}
        (run / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "output": name}))
        return run

    return write


def said(*paths: Path) -> dict[str, str]:
    """The kind of each verdict, by what it says."""
    return {verdict.what: verdict.severity.value for verdict in verdicts(read_runs(paths), [])}


def page_of(*paths: Path) -> str:
    runs = read_runs(paths)
    return run_report(runs, verdicts(runs, []))


def test_the_better_of_two_runs_is_named_first_and_settings_that_differ_are_listed(write_run: WriteRun) -> None:
    good, bad = write_run("runs/good", 0.7), write_run("runs/bad", 0.0, rate=1e-2)
    runs = read_runs([bad, good])
    found = verdicts(runs, [])
    assert found[0].what == "AU average precision on validation: B is best."
    assert differing_settings(runs) == {"optimizer.learning_rate": [0.01, 0.001]}
    page = run_report(runs, found)
    text = re.sub("<[^>]+>", " ", page)
    assert page.index("Verdicts") < page.index("Scores") < page.index("The course of training")
    assert "Training report: bad, good" in text
    assert "Settings that differ" in text
    expected = json.loads((good / "evaluation.json").read_text())["splits"]["validation"]["overall"]
    low, high = expected["intervals"]["metrics"]["expression.macro_f1"]
    assert f"{expected['expression']['macro_f1']:.3f} [{low:.2f}, {high:.2f}]" in text
    for chart in ("confusion on", "precision by recall of AU12", "valence on", "reliability of AU1", "Training loss"):
        assert f'aria-label="{chart}' in page, chart


def test_equal_runs_are_not_told_apart(write_run: WriteRun) -> None:
    found = said(write_run("one"), write_run("two"))
    assert "expression F1 on validation: no run is shown to be best." in found


def test_what_the_figures_do_not_bear_is_said(write_run: WriteRun) -> None:
    bare, alone = write_run("bare", resamples=0), write_run("alone", people=1)
    assert said(bare)["bare: the figures on validation have no intervals."] == "warning"
    assert said(alone)["alone: validation shows 1 person (or videos, where people are not known)."] == "warning"
    assert "bare: the score on validation was still rising when training ended (step 2, by 0.200)." in said(bare)
    (bare / "model").mkdir()
    chosen = {"split": "validation", "dataset": "merged", "metric": "score", "pictures": "p"}
    (bare / "model/config.json").write_text(json.dumps({"selected_on": chosen}))
    assert said(bare)["bare: validation chose its checkpoint, and is reported."] == "warning"


def test_figures_of_a_model_that_has_changed_are_an_error(write_run: WriteRun) -> None:
    run = write_run("run", weights="of another day")
    (run / "model").mkdir()
    (run / "model/model.safetensors").write_bytes(b"weights")
    assert said(run)["run: its model has changed since it was evaluated."] == "error"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprint": "g"}, "rows and labels: one: f; two: g"),
        ({"fold": {"folds": "jaa", "fold": 0}}, "fold: one: all rows; two: jaa:0"),
        ({"splits": ("test",)}, "evaluated splits: one: validation; two: test"),
    ],
)
def test_runs_on_other_rows_are_refused(write_run: WriteRun, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NotComparableError, match="cannot stand beside each other") as caught:
        read_runs([write_run("one"), write_run("two", **changes)])
    assert message in str(caught.value)
    assert "affect-train evaluate RUN DATASET" in str(caught.value)


def test_runs_by_another_rule_for_absent_classes_are_refused(write_run: WriteRun) -> None:
    one, two = write_run("one"), write_run("two")
    document = json.loads((two / "evaluation.json").read_text())
    document["splits"]["validation"]["overall"]["absent"] = "zero"
    (two / "evaluation.json").write_text(json.dumps(document))
    with pytest.raises(NotComparableError, match=r"absent class .* one: skip; two: zero"):
        read_runs([one, two])


def test_only_common_splits_are_shown(write_run: WriteRun) -> None:
    page = page_of(write_run("one", splits=("validation", "test")), write_run("two"))
    assert "Not shown, since not every run was evaluated there: test." in page


def test_what_is_no_run_or_named_twice_or_too_often_is_refused(write_run: WriteRun, tmp_path: Path) -> None:
    run = write_run("run")
    with pytest.raises(UsageError, match="named twice"):
        read_runs([run, tmp_path / "x/../run"])
    with pytest.raises(UsageError, match="found 9 runs; name 1 to 8"):
        read_runs([run] * 9)
    with pytest.raises(NotARunError, match=r"it has no evaluation\.json"):
        read_runs([tmp_path])
    (run / "evaluation.json").write_text('{"splits": {"validation": {"overall": 3}}}')
    with pytest.raises(NotARunError, match="is not readable"):
        read_runs([run])


def test_runs_of_one_name_are_told_apart_and_hostile_text_stays_text(write_run: WriteRun) -> None:
    one = write_run("a/run", database=HOSTILE)
    assert [run.name for run in read_runs([one, write_run("b/run")])] == ["a/run", "b/run"]
    page = page_of(one)
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_names_no_absolute_path_and_loads_nothing(write_run: WriteRun, tmp_path: Path) -> None:
    page = page_of(write_run("one"), write_run("two"))
    assert str(tmp_path) not in page
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)


def test_the_command_writes_the_page_and_says_the_same_as_json(write_run: WriteRun, tmp_path: Path) -> None:
    out, runs = tmp_path / "deep/r.html", [str(write_run("one")), str(write_run("two", 0.7))]
    printed = CliRunner().invoke(app, ["report", *runs, "--out", str(out), "--json"])
    document = json.loads(printed.stdout)
    ReportDocument.model_validate_json(printed.stdout)
    assert document["runs"] == {"A": "one", "B": "two"}
    assert document["bytes"] == out.stat().st_size
    (score,) = [s for s in document["scores"] if (s["run"], s["metric"], s["database"]) == ("B", "score", None)]
    own = json.loads((Path(runs[1]) / "evaluation.json").read_text())["splits"]["validation"]["overall"]
    assert (score["value"], score["interval"]) == (own["score"], own["intervals"]["metrics"]["score"])
    told = CliRunner().invoke(app, ["report", *runs, "--out", str(out)]).stdout
    assert f"Next: affect-train report {runs[0]} {runs[1]} --dataset DATASET" in told
