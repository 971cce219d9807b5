"""Drawing by learned weights: within a class by the weights, between classes equally, whatever the order of the file."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from affect_data.balance import balance, load_weights, make_plan
from affect_data.build.build import BuildReport
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.balance import BALANCE
from affect_data.errors import DataError, RecipeError
from affect_data.vocabulary import EXPRESSION_SETS, EXPRESSIONS


@pytest.fixture
def dataset(demo_report: BuildReport, tmp_path: Path) -> DatasetFolder:
    """A dataset of its own: these tests write column groups."""
    return open_dataset(shutil.copytree(demo_report.dataset.path, tmp_path / "merged"))


def learned(dataset: DatasetFolder, path: Path, **columns: pl.Expr) -> pl.DataFrame:
    """Random weights of three of four rows, shuffled, as a run writes them."""
    labels = dataset.labels("train").select("uid", "expression")
    rng = np.random.default_rng(0)
    table = labels.with_columns(
        weight=pl.Series(rng.uniform(0.1, 1.0, len(labels)).astype(np.float32)), times=pl.lit(1)
    )
    table = table.gather_every(4, 1).vstack(table.gather_every(4, 2)).vstack(table.gather_every(4, 3))
    table = table.sample(fraction=1.0, shuffle=True, seed=1).with_columns(**columns)
    table.drop("expression").write_parquet(path)
    return table


def test_rows_weigh_what_was_learned_and_classes_weigh_the_same(dataset: DatasetFolder, tmp_path: Path) -> None:
    table = learned(dataset, tmp_path / "weights.parquet")
    balance(dataset.path, make_plan("learned_weights", {"file": str(tmp_path / "weights.parquet")}), "mal")
    weights = load_weights(dataset.path, "mal")["expression"]
    labels = (
        dataset.labels("train")
        .with_columns(drawn=pl.Series(weights))
        .join(table.select("uid", "weight"), on="uid", how="left")
    )
    for name in EXPRESSION_SETS["aff_wild2_7"]:
        rows = labels.filter(pl.col("expression") == EXPRESSIONS.index(name))
        assert rows["drawn"].sum() == pytest.approx(1.0, abs=1e-5)
        mean = rows["weight"].mean()
        expected = rows["weight"].fill_null(mean)
        assert np.allclose(rows["drawn"], expected / expected.sum(), atol=1e-6)
    outside = labels.filter(~pl.col("expression").is_in([EXPRESSIONS.index(n) for n in EXPRESSION_SETS["aff_wild2_7"]]))
    assert outside["drawn"].sum() == 0
    kept = BALANCE.read(open_dataset(dataset.path), "mal")
    assert kept.options["file"] == "weights.parquet"
    assert len(kept.options["file_sha256"]) == 64
    assert "no learned weight" in kept.pools["expression"]["notes"][0]


def test_without_equal_classes_the_weights_are_those_of_the_file(dataset: DatasetFolder, tmp_path: Path) -> None:
    table = learned(dataset, tmp_path / "weights.parquet")
    options = {"file": str(tmp_path / "weights.parquet"), "equal_classes": False, "expressions": ["happiness"]}
    balance(dataset.path, make_plan("learned_weights", options), "mal")
    weights = dict(zip(dataset.labels("train")["uid"], load_weights(dataset.path, "mal")["expression"], strict=True))
    happy = table.filter(pl.col("expression") == EXPRESSIONS.index("happiness"))
    assert len(happy) > 5
    assert all(weights[uid] == pytest.approx(weight) for uid, weight in happy.select("uid", "weight").iter_rows())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"uid": pl.lit("elsewhere:") + pl.col("uid")},
            r"has a weight for none of the .* rows with an expression; name the run",
        ),
        ({"weight": -pl.col("weight")}, r"names a row twice, or has a negative weight"),
        ({"uid": pl.col("uid").first()}, r"names a row twice, or has a negative weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    dataset: DatasetFolder, tmp_path: Path, columns: dict[str, pl.Expr], message: str
) -> None:
    learned(dataset, tmp_path / "weights.parquet", **columns)
    with pytest.raises(DataError, match=message):
        balance(dataset.path, make_plan("learned_weights", {"file": str(tmp_path / "weights.parquet")}), "mal")


def test_a_file_that_is_none_and_a_plan_without_a_file_are_refused(dataset: DatasetFolder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no learned weights .*meta_auxiliary writes weights\.parquet"):
        balance(dataset.path, make_plan("learned_weights", {"file": str(tmp_path / "none.parquet")}), "mal")
    with pytest.raises(RecipeError, match=r"file: Field required"):
        make_plan("learned_weights")
