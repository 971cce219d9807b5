from pathlib import Path

import numpy as np
import polars as pl
import pytest
from datasets import load_from_disk
from typer.testing import CliRunner

from affect_data.build.build import BuildReport, build
from affect_data.build.recipe import recipe_from
from affect_data.cli.app import app
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.demo.world import World, write_demo
from affect_data.errors import DataError, UnknownNameError, UsageError
from affect_data.leaks.folds import (
    assign_folds,
    inseparable_rows,
    literature_folds,
    strata,
    write_folds,
    write_literature_folds,
)
from affect_data.leaks.leaks import find_leaks


@pytest.fixture(scope="module")
def merged(demo_roots: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    recipe = recipe_from({"databases": {name: {} for name in demo_roots}}, "demo")
    return build(recipe, demo_roots, tmp_path_factory.mktemp("folds") / "merged").dataset


def labels_of(folder: DatasetFolder) -> pl.DataFrame:
    return pl.concat(folder.labels(split).with_columns(pl.lit(split).alias("split")) for split in folder.splits)


def folds_of(group: np.ndarray, labels: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """The fold of each row, by what its group holds."""
    _, unit = np.unique(group, return_inverse=True)
    return assign_folds(np.stack([np.bincount(unit, column) for column in labels.T], axis=1), count, seed)[unit]


def skewed(groups: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Groups of 1 to 40 rows, each with its own mixture of a common, a rare and a very rare label."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), rng.integers(1, 41, groups))
    shares = rng.beta(0.5, [1.0, 4.0, 20.0], (groups, 3))
    labels = (rng.random((len(group), 3)) < shares[group]).astype(float)
    return group, np.column_stack([np.ones(len(group)), labels])


def test_no_group_is_parted_and_every_label_is_spread_evenly() -> None:
    group, labels = skewed(300, seed=0)
    folds = folds_of(group, labels, 5)
    assert all(len(np.unique(folds[group == g])) == 1 for g in np.unique(group))
    shares = np.stack([labels[folds == fold].sum(axis=0) for fold in range(5)]) / labels.sum(axis=0)
    assert np.abs(shares - 0.2).max() < 0.02
    by_lot = np.random.default_rng(0).integers(0, 5, 300)[group]
    chance = np.stack([labels[by_lot == fold].sum(axis=0) for fold in range(5)]) / labels.sum(axis=0)
    assert np.abs(shares - 0.2).max() < 0.5 * np.abs(chance - 0.2).max()


def test_folds_are_a_function_of_their_arguments() -> None:
    group, labels = skewed(60, seed=1)
    assert np.array_equal(folds_of(group, labels, 3, seed=4), folds_of(group, labels, 3, seed=4))
    assert not np.array_equal(folds_of(group, labels, 3, seed=4), folds_of(group, labels, 3, seed=5))


def test_impossible_numbers_of_folds_are_refused() -> None:
    group, labels = np.array([0, 0, 1]), np.ones((3, 1))
    with pytest.raises(UsageError, match="1 folds: choose a number from 2 to 100"):
        folds_of(group, labels, 1)
    with pytest.raises(DataError, match=r"3 folds of 2 group\(s\) of subjects, tracks and copies: choose fewer folds"):
        folds_of(group, labels, 3)


def test_rows_are_grouped_by_chains_of_subject_track_picture_and_copies() -> None:
    labels = pl.DataFrame(
        {
            "database": ["affwild2"] * 4 + ["disfa", "disfa"],
            "subject": ["a", "a", "", "", "a", ""],
            "track": ["", "t", "t", "", "", ""],
            "image_digest": ["1", "2", "3", "3", "4", "5"],
        }
    )
    assert inseparable_rows(labels).tolist() == [0, 0, 0, 0, 4, 5]
    assert inseparable_rows(labels, np.array([0, 1, 2, 3, 5, 5])).tolist() == [0, 0, 0, 0, 4, 4]


def test_strata_count_what_stands_in_the_labels(merged: DatasetFolder) -> None:
    labels = labels_of(merged)
    found = strata(labels, merged.manifest.databases)
    assert found[:, 0].sum() == len(labels)
    assert found.sum(axis=0).max() == len(labels)
    happy = int((labels["expression"] == 4).sum())
    assert happy in found.sum(axis=0)
    assert int(labels["va_mask"].sum()) <= found.sum()


def test_folds_are_a_column_group_that_does_not_leak(merged: DatasetFolder) -> None:
    written = write_folds(merged, "cv4", 4)
    labels = labels_of(written)
    column = np.concatenate(
        [load_from_disk(str(written.path / split / "folds.cv4"))["folds.cv4"][:] for split in written.splits]
    )
    labels = labels.with_columns(pl.Series("fold", column))
    assert set(labels.filter(pl.col("split") == "test")["fold"]) <= {-1}
    used = labels.filter(pl.col("fold") >= 0)
    assert set(used["fold"]) == {0, 1, 2, 3}
    assert find_leaks(used.with_columns(pl.col("fold").cast(pl.String).alias("split"))).is_empty()
    provenance = written.manifest.provenance["folds.cv4"]
    assert provenance["rows"] == {str(f): int((column == f).sum()) for f in np.unique(column)}
    assert provenance["made_from"] == written.manifest.fingerprints.model_dump(include={"pictures", "people"})
    assert provenance["kept_apart"] == len(labels.filter((pl.col("fold") < 0) & (pl.col("split") != "test")))


def test_the_parts_of_disfa_are_those_of_the_literature(merged: DatasetFolder) -> None:
    labels = labels_of(merged)
    folds = literature_folds(labels, "disfa")
    part = dict(zip(labels["subject"], folds.tolist(), strict=True))
    assert part["SN001"] == 0
    assert {fold for fold, name in zip(folds, labels["database"], strict=True) if name != "disfa"} == {-1}
    subjects = {s for s in labels.filter(pl.col("database") == "disfa")["subject"] if s in ("SN006", "SN003")}
    assert all(part[s] == {"SN006": 1, "SN003": 2}[s] for s in subjects)
    written = write_literature_folds(merged, "disfa")
    assert written.manifest.provenance["folds.disfa"]["parts"] == ["part1", "part2", "part3"]


def test_the_parts_of_bp4d_are_a_group_that_parts_no_person(demo_roots: dict[str, Path], tmp_path: Path) -> None:
    write_demo(tmp_path / "world", faces=130, world=World(shares={"bp4d": 1.0}))
    roots = {"bp4d": tmp_path / "world" / "bp4d", "disfa": demo_roots["disfa"]}
    recipe = recipe_from({"databases": {"bp4d": {}, "disfa": {}}}, "demo")
    folder = write_literature_folds(build(recipe, roots, tmp_path / "merged").dataset, "bp4d")
    labels = labels_of(folder)
    folds = np.concatenate(
        [load_from_disk(str(folder.path / split / "folds.bp4d"))["folds.bp4d"][:] for split in folder.splits]
    )
    part = dict(zip(zip(labels["database"], labels["subject"], strict=True), folds.tolist(), strict=True))
    assert {subject: fold for (name, subject), fold in part.items() if name == "bp4d"} == {
        "F001": 0,
        "M010": 1,
        "M009": 2,
    }
    assert {fold for (name, _), fold in part.items() if name == "disfa"} == {-1}
    assert folder.manifest.provenance["folds.bp4d"]["parts"] == ["part1", "part2", "part3"]


def test_unknown_literature_folds_and_strange_subjects_are_errors() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown database with literature folds 'expw'; known: .*bp4d, .*disfa"
    ):
        literature_folds(pl.DataFrame({"database": ["expw"], "subject": ["a"]}), "expw")
    with pytest.raises(DataError, match=r"disfa: subject\(s\) 'SN099' are in none of the published folds"):
        literature_folds(pl.DataFrame({"database": ["disfa"], "subject": ["SN099"]}), "disfa")
    with pytest.raises(DataError, match="the dataset has no row of bp4d, whose published folds were asked for"):
        literature_folds(pl.DataFrame({"database": ["disfa"], "subject": ["SN001"]}), "bp4d")


def test_the_command_writes_folds(demo_report: BuildReport, merged: DatasetFolder) -> None:
    shown = CliRunner().invoke(app, ["folds", str(merged.path), "--count", "3", "--name", "three", "--copies"])
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("folds.three written; rows by fold: ")
    assert "copies" in open_dataset(merged.path).manifest.provenance["folds.three"]["disjoint_by"]
    shown = CliRunner().invoke(app, ["folds", str(merged.path), "--literature", "disfa", "--json"])
    assert '"group": "folds.disfa"' in shown.stdout
