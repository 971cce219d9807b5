"""Metrics of groups of people: counted by hand, and checked against scikit-learn."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from training_runs import fresh_accelerator

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.side.columns import ClassColumn, NumberColumn
from affect_data.vocabulary import EXPRESSIONS
from affect_train.cli.tables import describe_evaluation
from affect_train.evaluation.evaluate import evaluate, score
from affect_train.evaluation.intervals import Clusters
from affect_train.evaluation.subgroups import Attribute, SplitRows, ages_in_tens, attributes_of, minimum, subgroups
from affect_train.inference.inference import infer, open_model, predictions
from affect_train.inference.inputs import split_of
from affect_train.inputs.source import open_source
from affect_train.recipe.recipe import recipe_from
from affect_train.runtime import Runtime
from affect_train.training.loop import train

SEX = ("male", "female", "unsure")
ROWS = 320


def counting(rows: NDArray[np.int64]) -> Mapping[str, Any]:
    """Metrics whose only number is how many rows they are given."""
    own = {"mean_f1": 0.5, "accuracy": 0.5, "labels": len(rows), "by_action_unit": {}}
    return {
        "au": own,
        "expression": {"macro_f1": 0.25, "accuracy": 0.75, "labels": len(rows)},
        "score": 0.3,
        "abaw": {},
    }


def rows_of(
    count: int, subjects: NDArray[np.int64] | None = None, labelled: Mapping[str, NDArray[np.bool_]] | None = None
) -> SplitRows:
    databases, none = np.zeros(count, np.int64), np.full(count, -1)
    return SplitRows(
        databases=databases,
        names=["raf_db"],
        labelled=labelled or {"au": np.ones(count, np.bool_), "expression": np.ones(count, np.bool_)},
        clusters=Clusters.of(databases, none if subjects is None else subjects, none),
        metrics=counting,
    )


def test_a_group_below_the_minimum_is_counted_and_not_scored() -> None:
    codes = np.repeat([1, 0, -1], [50, 49, 30])
    male, female = subgroups([Attribute("sex", codes, SEX)], rows_of(129), np.arange(129))
    assert male == {"database": "raf_db", "attribute": "sex", "value": "male", "rows": 49, "metrics": {}}
    assert (female["value"], female["rows"]) == ("female", 50)
    assert female["metrics"] == {
        "au": {"mean_f1": 0.5, "accuracy": 0.5, "labels": 50},
        "expression": {"macro_f1": 0.25, "accuracy": 0.75, "labels": 50},
    }
    assert minimum() == {"rows": 50, "people": 10}


def test_each_task_needs_labels_of_its_own() -> None:
    labelled = {"au": np.arange(100) < 49, "expression": np.arange(100) < 50}
    (group,) = subgroups([Attribute("sex", np.zeros(100, np.int64), SEX)], rows_of(100, None, labelled), np.arange(100))
    assert group["rows"] == 100
    assert list(group["metrics"]) == ["expression"]


@pytest.mark.parametrize(("people", "scored"), [(9, []), (10, ["au", "expression"])])
def test_many_rows_of_few_people_are_not_scored(people: int, scored: list[str]) -> None:
    rows = rows_of(1000, np.arange(1000) % people)
    (group,) = subgroups([Attribute("sex", np.zeros(1000, np.int64), SEX)], rows, np.arange(1000))
    assert (group["rows"], group["people"], list(group["metrics"])) == (1000, people, scored)


def test_only_rows_that_count_are_in_groups() -> None:
    (group,) = subgroups([Attribute("sex", np.zeros(100, np.int64), SEX)], rows_of(100), np.arange(40, 95))
    assert (group["rows"], group["metrics"]["au"]["labels"]) == (55, 55)
    assert subgroups([Attribute("sex", np.full(100, -1), SEX)], rows_of(100), np.arange(100)) == []


def test_ages_in_years_are_taken_in_tens() -> None:
    found = ages_in_tens("age", np.array([0, 9.5, 10, np.nan, 39, 25], np.float32))
    assert [found.words[code] if code >= 0 else None for code in found.codes] == [
        "0 to 9", "0 to 9", "10 to 19", None, "30 to 39", "20 to 29",
    ]  # fmt: skip
    assert not ages_in_tens("age", np.full(3, np.nan, np.float32)).words


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    """320 validation rows of as many people; every second row, of the second database, may say who is shown."""

    def edit(row: dict[str, Any]) -> dict[str, Any]:
        number = int(row["source_line"]) - 1
        said = row["database"] == 1 and number % 16 != 1
        sex, age = (SEX[number // 2 % 5 % 3], float(number % 70)) if said else ("", np.nan)
        return {**row, "subject": f"s{number}", "sex": sex, "age": age}

    columns = (
        NumberColumn(group="people", name="age", low=0.0, high=150.0, masked=True),
        ClassColumn(group="people", name="sex", classes=SEX),
    )
    splits = {"train": [(number, world.all) for number in range(4)]}
    splits["validation"] = [(number, world.all) for number in range(100, 100 + ROWS)]
    path = tmp_path_factory.mktemp("people") / "merged"
    return Path(world.write_dataset(path, splits, edit=edit, declared=columns))


@pytest.fixture(scope="module")
def judged(people: Path, tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> SimpleNamespace:
    """The evaluation of a model after one step, what the model predicts, and what is true."""
    run = tmp_path_factory.mktemp("judged") / "run"
    values = {
        "dataset": str(people),
        "output": str(run),
        "tasks": {"action_units": [1, 12], "expression": "aff_wild2_7"},
        "model": {"backbone": world.tiny_vit, "image_size": 32},
        "batches": {"size": 4},
        "training": {"max_steps": 1, "trackers": []},
    }
    train(recipe_from(values))
    fresh_accelerator()
    report = evaluate(run, people, ["validation"], bootstrap=20)
    assert report is not None
    fresh_accelerator()
    runtime = Runtime.start(workers=0)
    model, preprocessing = open_model(run / "model")
    split = split_of(model, preprocessing, open_source(people), "validation", runtime)
    logits = infer(model, split.inputs, runtime)
    assert logits is not None
    predicted = predictions(model, logits)
    dataset, labels = split.passed()
    return SimpleNamespace(
        found=report["splits"]["validation"],
        people=open_dataset(people).labels("validation", ["database", "expression"], side=["people"]),
        expressions=np.asarray(model.config.expressions)[predicted["expression"].argmax(1)],
        units=predicted["au"] >= 0.5,
        true_units=labels.au,
        without_groups=score(model, predicted, labels, dataset, bootstrap=20),
    )


def test_every_word_that_is_said_of_somebody_is_a_group(judged: SimpleNamespace) -> None:
    groups = judged.found["subgroups"]
    assert {group["database"] for group in groups} == {"expw"}
    assert [group["attribute"] for group in groups] == ["age"] * 7 + ["sex"] * 3
    assert [group["value"] for group in groups[7:]] == list(SEX)
    for column, own in (("age", groups[:7]), ("sex", groups[7:])):
        assert sum(group["rows"] for group in own) == judged.people[f"{column}_mask"].sum()
    scored = [group["value"] for group in groups if group["metrics"]]
    assert scored == [group["value"] for group in groups if group["rows"] >= 50] == ["male", "female"]


@pytest.mark.parametrize("sex", ["male", "female"])
def test_a_group_has_the_scores_of_scikit_learn_on_its_rows(judged: SimpleNamespace, sex: str) -> None:
    (group,) = (group for group in judged.found["subgroups"] if group["value"] == sex)
    rows = np.flatnonzero(judged.people["sex"].to_numpy() == sex)
    own, found = group["metrics"], judged.expressions[rows]
    truth = np.asarray(EXPRESSIONS)[judged.people["expression"].to_numpy()[rows]]
    assert group["people"] == group["rows"] == own["expression"]["labels"] == len(rows)
    assert own["expression"]["accuracy"] == pytest.approx(accuracy_score(truth, found))
    assert own["expression"]["macro_f1"] == pytest.approx(f1_score(truth, found, average="macro"))
    scores = f1_score(judged.true_units[rows], judged.units[rows], average=None, zero_division=np.nan)
    assert own["au"]["mean_f1"] == pytest.approx(np.nanmean(scores))
    assert own["au"]["accuracy"] == pytest.approx((judged.true_units[rows] == judged.units[rows]).mean())
    low, high = own["intervals"]["metrics"]["expression.accuracy"]
    assert low <= own["expression"]["accuracy"] <= high
    assert list(own["intervals"]["metrics"]) == [
        "au.mean_f1",
        "au.accuracy",
        "expression.macro_f1",
        "expression.accuracy",
    ]


def test_groups_change_no_other_figure(judged: SimpleNamespace) -> None:
    assert judged.found["subgroup_minimum"] == {"rows": 50, "people": 10}
    others = {key: value for key, value in judged.found.items() if key not in ("subgroups", "subgroup_minimum")}
    assert others == judged.without_groups


def test_groups_are_shown_in_a_table(judged: SimpleNamespace) -> None:
    lines = describe_evaluation("validation", judged.found).splitlines()
    male, _, unsure = judged.found["subgroups"][7:]
    (shown,) = (line for line in lines if line.startswith("expw sex: male"))
    assert f"{male['metrics']['expression']['macro_f1']:.3f} [" in shown
    (shown,) = (line for line in lines if line.startswith("expw sex: unsure"))
    assert shown.split()[3:5] == [str(unsure["rows"])] * 2
    assert set(shown.split()[5:]) == {"-"}
    assert lines[-1] == "[groups with fewer than 50 labelled rows or 10 people are not scored]"


def test_a_dataset_that_says_nothing_of_people_has_no_groups(dataset: Path) -> None:
    assert attributes_of(open_dataset(dataset), "validation") == ()
    assert attributes_of(None, "validation") == ()
