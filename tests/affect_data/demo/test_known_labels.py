"""The truth in place of labels: what every face shows, whatever its database says, on the same rows and pictures."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import polars as pl
import pytest

from affect_data.build.build import BuildReport
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.schema import check_rules
from affect_data.demo.known_labels import reveal
from affect_data.errors import DataError
from affect_data.vocabulary import ACTION_UNIT_SLOTS, EXPRESSIONS


@pytest.fixture(scope="module")
def revealed(
    demo_report: BuildReport, demo_world: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[DatasetFolder, DatasetFolder]:
    out = tmp_path_factory.mktemp("revealed") / "truth"
    return open_dataset(demo_report.dataset.path), reveal(demo_report.dataset.path, demo_world / "truth.parquet", out)


def test_rows_keep_their_order_and_pictures_and_get_all_labels(revealed: tuple[DatasetFolder, DatasetFolder]) -> None:
    dataset, truth = revealed
    for split in dataset.splits:
        before, after = dataset.labels(split), truth.labels(split)
        assert before["uid"].to_list() == after["uid"].to_list()
        check_rules(after)
        drawn = after.filter(pl.col("va_mask"))
        assert len(drawn) > 0.97 * len(after)
        assert drawn["expression_mask"].all()
        assert (
            drawn["au_mask"].list.sum() if drawn["au_mask"].dtype == pl.List else drawn["au_mask"].arr.sum()
        ).min() == 17
        assert truth.load(split).data.column("image").equals(dataset.load(split).data.column("image"))


def test_where_a_database_has_a_label_the_truth_agrees_as_far_as_it_writes_it(
    revealed: tuple[DatasetFolder, DatasetFolder],
) -> None:
    dataset, truth = revealed
    before, after = dataset.labels("train"), truth.labels("train")
    both = (before["va_mask"] & after["va_mask"]).to_numpy()
    assert both.sum() > 50
    assert np.abs(before["valence"].to_numpy()[both] - after["valence"].to_numpy()[both]).max() <= 0.051
    disfa = before.with_row_index().filter(database="disfa")["index"].to_list()
    slot = ACTION_UNIT_SLOTS[12]
    labelled = [row for row in disfa if before["au_mask"][row][slot]]
    assert len(labelled) > 10
    assert [before["au"][row][slot] for row in labelled] == [after["au"][row][slot] for row in labelled]
    assert set(after["expression"]) <= {-1, *range(len(EXPRESSIONS))}


def test_it_has_another_fingerprint_and_no_other_groups(revealed: tuple[DatasetFolder, DatasetFolder]) -> None:
    dataset, truth = revealed
    assert truth.fingerprint != dataset.fingerprint
    assert truth.manifest.fingerprints.pictures == dataset.manifest.fingerprints.pictures
    assert truth.manifest.fingerprints.people == dataset.manifest.fingerprints.people
    assert truth.groups("train") == ("compound", "images", "labels")
    assert truth.manifest.provenance["labels"] == {"revealed_from": dataset.fingerprint}


def test_the_truth_of_other_faces_is_refused(demo_report: BuildReport, demo_world: Path, tmp_path: Path) -> None:
    other = pl.read_parquet(demo_world / "truth.parquet").with_columns(image="else/" + pl.col("image"))
    other.write_parquet(tmp_path / "truth.parquet")
    with pytest.raises(
        DataError, match=r"the truth lacks .* rows of split 'train'.*name the truth.parquet of the very"
    ):
        reveal(demo_report.dataset.path, tmp_path / "truth.parquet", tmp_path / "out")
    other.drop("shown").write_parquet(tmp_path / "old.parquet")
    with pytest.raises(DataError, match=r"lacks the column\(s\) shown"):
        reveal(demo_report.dataset.path, tmp_path / "old.parquet", tmp_path / "out2")


def test_the_command_says_what_it_wrote_and_leaves_a_used_folder_alone(
    demo_report: BuildReport,
    demo_world: Path,
    tmp_path: Path,
    affect_data: Callable[..., CompletedProcess[str]],
) -> None:
    out = tmp_path / "truth"
    done = affect_data("reveal", demo_report.dataset.path, demo_world / "truth.parquet", out)
    assert done.returncode == 0
    assert "rows with every label of the demo world" in done.stdout
    again = affect_data("reveal", demo_report.dataset.path, demo_world / "truth.parquet", out)
    assert again.returncode == 1
    assert "is not empty; name a new folder" in again.stderr
