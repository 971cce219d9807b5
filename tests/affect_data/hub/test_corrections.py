"""Corrections leave without the labels that they replace and without the reviewer, and come back in a rebuild."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from loopback_hub import LoopbackHub

from affect_data.corrections.decisions import Decision
from affect_data.corrections.versions import apply_decisions, read_changes
from affect_data.databases.base import Tier
from affect_data.dataset.folder import open_dataset
from affect_data.hub.differences import DifferencesError
from affect_data.hub.publish import plan, publish
from affect_data.hub.rebuild import RebuildReport, published_recipe, rebuild
from affect_data.hub.repository import open_repository
from affect_data.hub.verify import verify

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")


@pytest.fixture
def corrected(faces: Path) -> Path:
    """The faces, of which a reviewer called the first of train contempt, and took the label of the third of validation away."""
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
    file = faces.with_suffix(".jsonl")
    file.write_text("".join(decisions))
    apply_decisions(faces, file)
    return faces


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
