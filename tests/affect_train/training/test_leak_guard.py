"""Leaks between the splits of a dataset, before a training: refused or reported, on one process and on two."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from accelerate import Accelerator
from datasets import Features, Value
from python_processes import run_python

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.writing import add_group
from affect_data.leaks.leaks import LeakError
from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.reporting import Reporter
from affect_train.runtime import Runtime
from affect_train.training.leak_guard import guard_training, guarded_parts
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]


@pytest.fixture
def leaking(world: SimpleNamespace, tmp_path: Path) -> Path:
    """Rows 0 to 15 for training, of which 0 to 3 with their picture, their video and their three people are also validation rows."""
    rows = {
        "train": [(number, world.all) for number in range(16)],
        "validation": [(number, world.all) for number in (0, 1, 2, 3, 100, 101)],
    }
    return world.write_dataset(tmp_path / "leaking", rows)


@pytest.fixture
def recipe(recipe_values: Values, leaking: Path) -> Callable[..., Recipe]:
    return lambda *settings: recipe_from(recipe_values(dataset=str(leaking)), settings)


def said_before(recipe: Recipe, capsys: pytest.CaptureFixture[str]) -> str:
    guard_training(recipe, open_dataset(recipe.dataset), Runtime(Accelerator(cpu=True), Reporter()))
    return capsys.readouterr().err


def test_people_and_videos_in_two_splits_are_refused_with_the_list(recipe: Callable[..., Recipe]) -> None:
    message = r"leak\(s\) between splits:\n  subject 's0' of affwild: \d rows in train and validation\n(?s:.*)track 'clip0' of affwild"
    with pytest.raises(LeakError, match=message) as refused:
        train(recipe())
    assert set(refused.value.leaks["kind"]) == {"subject", "track"}
    assert "`training: {leaks: report}`" in str(refused.value)
    assert not Path(recipe().output).exists()


def test_accepted_leaks_are_counted_where_the_training_starts(
    recipe: Callable[..., Recipe], capsys: pytest.CaptureFixture[str]
) -> None:
    # affwild2 has rows 0 and 2 of clip0, expw rows 1 and 3, in both splits.
    said = said_before(recipe("training.leaks=report"), capsys)
    assert "4 pictures (8 rows) are in two splits: what is measured there is too good" in said
    assert "2 videos (8 rows)" in said
    assert "near copies are looked for by `affect-data audit`, which has stored none" in said


def test_pictures_are_refused_where_the_recipe_says_so(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(LeakError, match=r"4 leak\(s\) between splits:\n  picture '[0-9a-f]{64}' of any: 2 rows"):
        train(recipe("training.leaks=report", "training.copies=refuse"))


def test_a_dataset_without_leaks_says_so(recipe_values: Values, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no person, video or equal picture is in two splits" in said_before(recipe_from(recipe_values()), capsys)


def test_rows_that_are_held_out_are_a_part_and_rows_in_no_fold_are_in_none(
    recipe: Callable[..., Recipe], leaking: Path
) -> None:
    # Whoever is in validation is in no fold; the others' videos are dealt out whole, their people are not.
    folds = {"train": np.repeat([-1, 0, 1, 1], 4), "validation": np.full(6, -1)}
    tables = [(split, pa.table({"folds.two": pa.array(values.astype(np.int8))})) for split, values in folds.items()]
    add_group(open_dataset(leaking), "folds.two", tables, Features({"folds.two": Value("int8")}), {})
    held_out = recipe("training.held_out={folds: two, fold: 0}", "training.validation_split=null")
    parts = guarded_parts(held_out, open_dataset(leaking))
    rows = [None if part.rows is None else part.rows.nonzero()[0].tolist() for part in parts]
    assert [part.name for part in parts] == ["train", "fold 0 of train", "validation"]
    assert rows == [list(range(8, 16)), [4, 5, 6, 7], None]
    joined = recipe("training.held_out={folds: two, fold: 0, others: trained}", "training.validation_split=null")
    trained = guarded_parts(joined, open_dataset(leaking))[0].rows.nonzero()[0].tolist()
    assert trained == [*range(4), *range(8, 16)]
    with pytest.raises(LeakError, match=r"subject 's0' of affwild: \d rows in fold 0 of train and train") as refused:
        train(held_out)
    assert "track" not in set(refused.value.leaks["kind"])


@pytest.mark.slow
def test_two_processes_end_with_the_list_and_neither_waits_for_the_other(
    recipe_values: Values, leaking: Path, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe_values(dataset=str(leaking))))
    refused = run_python(["-m", "affect_train", path, "--json"], processes=2)
    assert refused.returncode != 0
    assert "leak(s) between splits" in refused.stderr
    assert "track 'clip0' of affwild" in refused.stderr
    assert not (tmp_path / "run").exists()
