"""Corrections leave without the labels that they replace and without the reviewer, and come back in a rebuild."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from loopback_hub import LoopbackHub

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.corrections.decisions import Decision
from affect_data.corrections.versions import apply_decisions, read_changes
from affect_data.databases.base import Tier
from affect_data.dataset.folder import open_dataset
from affect_data.errors import UsageError
from affect_data.hub.differences import DifferencesError
from affect_data.hub.publish import plan, publish
from affect_data.hub.rebuild import RebuildReport, published_recipe, rebuild
from affect_data.hub.repository import open_repository
from affect_data.hub.verify import verify

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")


RECIPE = recipe_from({"databases": {"expw": {"holdout": 0.3}}, "shard_rows": 8}, "faces")


@pytest.fixture
def corrected(faces: Path) -> Path:
    """The faces, of which a reviewer called the first of train contempt, and took the label of the third of validation away."""
    file = faces.with_suffix(".jsonl")
    file.write_text("".join(decided(faces)))
    apply_decisions(faces, file)
    return faces


def decided(faces: Path) -> list[str]:
    """The lines of the two decisions."""
    folder = open_dataset(faces)
    decisions = []
    for number, (split, row, new) in enumerate((("train", 0, "contempt"), ("validation", 2, None))):
        own = folder.labels(split).row(row, named=True)
        document = {
            **{name: own[name] for name in ("uid", "image_digest", "face", "database")},
            "id": f"d{number}",
            "split": split,
            "dataset": folder.fingerprint,
            "action": "correct" if new else "mask",
            "old": {"expression": folder.load(split).features["expression"].int2str(own["expression"])},
            "new": {"expression": new},
            "who": "ada.lovelace",
            "when": "2026-11-22T10:00:00+00:00",
            "why": "neutral with AU12",
        }
        decisions.append(Decision.model_validate_json(json.dumps(document)).to_line())
    return decisions


def again(out: Path, root: Path, *, allow_differences: bool = False) -> RebuildReport:
    repository = open_repository("hf://anna/faces")
    return rebuild(repository, published_recipe(repository), {"expw": root}, out, allow_differences=allow_differences)


def test_only_the_new_labels_leave(hub: LoopbackHub, corrected: Path) -> None:
    publish(plan(corrected, "anna/faces", Tier.DERIVED))
    files = hub.repositories["dataset", "anna/faces"].files
    table = pl.read_parquet(files["corrections/train/00000.parquet"].data)
    assert table.columns == ["uid", "picture_key", "new_labels", "decided"]
    assert table["new_labels"].to_list() == ['{"expression":"contempt"}']
    everything = b"".join(file.data for file in files.values())
    assert b"lovelace" not in everything
    assert b"AU12" not in everything
    assert "2 label(s) were corrected by people" in files["README.md"].data.decode()
    assert list(verify("hf://anna/faces", deep=True).findings) == []


def test_a_rebuild_applies_them_and_is_proven(
    hub: LoopbackHub, corrected: Path, faces_root: Path, tmp_path: Path
) -> None:
    publish(plan(corrected, "anna/faces", Tier.DERIVED))
    report = again(tmp_path / "again", faces_root)
    assert (report.differences, report.corrected, report.lost) == ((), 2, {})
    before, after = open_dataset(corrected), open_dataset(tmp_path / "again")
    assert after.fingerprint == before.fingerprint
    changes = read_changes(after)
    assert changes["who"].to_list() == ["published", "published"]
    assert changes["old"].to_list() == read_changes(before)["old"].to_list()


def test_tier_recipe_names_the_shards_that_were_corrected(
    hub: LoopbackHub, corrected: Path, faces_root: Path, tmp_path: Path
) -> None:
    publish(plan(corrected, "anna/faces"))
    with pytest.raises(DifferencesError) as error:
        again(tmp_path / "again", faces_root)
    assert [str(difference) for difference in error.value.differences] == [
        "shard train expw 0 (rows 0 to 7): other labels",
        "shard validation expw 0 (rows 0 to 7): other labels",
    ]


@pytest.fixture
def decided_before(faces: Path, faces_root: Path, tmp_path: Path) -> tuple[Path, list[Path]]:
    """A dataset whose recipe names both decisions, each in a file of its own."""
    files = []
    for number, line in enumerate(decided(faces)):
        files.append(tmp_path / f"decisions-{number}.jsonl")
        files[-1].write_text(line)
    recipe = RECIPE.model_copy(update={"decisions": tuple(map(str, files))})
    return build(recipe, {"expw": faces_root}, tmp_path / "decided").dataset.path, files


def test_decisions_of_the_recipe_leave_if_their_files_are_named_and_are_proven(
    hub: LoopbackHub, decided_before: tuple[Path, list[Path]], faces_root: Path, tmp_path: Path
) -> None:
    dataset, files = decided_before
    planned = plan(dataset, "anna/faces", Tier.DERIVED, decisions=files)
    assert planned.staged.published.left_out == {}
    publish(planned)
    there = hub.repositories["dataset", "anna/faces"].files
    assert b"decisions-0" not in b"".join(file.data for file in there.values())
    assert list(verify("hf://anna/faces", deep=True).findings) == []
    report = again(tmp_path / "again", faces_root)
    assert (report.differences, report.corrected, report.lost) == ((), 2, {})
    assert open_dataset(tmp_path / "again").fingerprint == open_dataset(dataset).fingerprint


def test_decisions_of_the_recipe_that_do_not_leave_are_counted(
    hub: LoopbackHub, decided_before: tuple[Path, list[Path]], faces_root: Path, tmp_path: Path
) -> None:
    dataset, files = decided_before
    publish(plan(dataset, "anna/faces", Tier.DERIVED))
    card = hub.repositories["dataset", "anna/faces"].files["README.md"].data.decode()
    assert (
        "- Not published: decisions of the recipe (2; the dataset keeps no file of them, --decisions FILE names it)."
        in card
    )
    with pytest.raises(DifferencesError, match=r"shard train expw 0 \(rows 0 to 7\): other labels"):
        again(tmp_path / "again", faces_root)
    with pytest.raises(
        UsageError, match=r"1 of the 2 decisions that made the labels of .* are not in .*decisions-1.jsonl"
    ):
        plan(dataset, "anna/faces", Tier.DERIVED, decisions=files[1:])
    with pytest.raises(UsageError, match="--decisions needs tier derived or full"):
        plan(dataset, "anna/faces", decisions=files)


def test_a_correction_of_another_picture_is_counted_and_not_applied(
    hub: LoopbackHub, corrected: Path, faces_root: Path, tmp_path: Path
) -> None:
    publish(plan(corrected, "anna/faces", Tier.DERIVED))
    root = Path(shutil.copytree(faces_root, tmp_path / "elsewhere"))
    line = open_dataset(corrected).labels("train", ["source_line"])["source_line"][0]
    shutil.copyfile(root / f"image/origin/p{line % 24:03d}.png", root / f"image/origin/p{line - 1:03d}.png")
    report = again(tmp_path / "again", root, allow_differences=True)
    assert report.corrected == 1
    assert report.lost["corrections"] == "1 of 2 rows have another picture or label, or are not there"
