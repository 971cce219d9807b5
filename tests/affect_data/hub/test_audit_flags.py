"""Findings of audits leave with a key of their picture, and come back to the rows that still have it."""

import shutil
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from loopback_hub import LoopbackHub

from affect_data.audit.base import FINDINGS
from affect_data.audit.run import NotAuditedError, read_audit, run_audits, write_audit
from affect_data.databases.base import Tier
from affect_data.dataset.folder import open_dataset
from affect_data.hub.publish import plan, publish
from affect_data.hub.rebuild import RebuildReport, published_recipe, rebuild
from affect_data.hub.repository import open_repository
from affect_data.hub.verify import verify
from affect_data.leaks.leaks import stored_copies

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

NAMED = ["split", "uid", "check", "severity"]


@pytest.fixture
def audited(faces: Path) -> Path:
    """The faces with findings about the first three rows of each split, two of which are about copies."""
    folder = open_dataset(faces)
    rows = [
        {"split": split, "uid": uid, "check": check, "severity": "review", "score": 0.5, "evidence": '{"group":"x"}'}
        for split in folder.splits
        for uid, check in zip(
            folder.labels(split, ("uid",))["uid"], ("face_quality", "duplicates", "expression_va"), strict=False
        )
    ]
    write_audit(folder, pl.DataFrame(rows, schema=FINDINGS))
    return faces


def again(out: Path, root: Path, *, allow_differences: bool = False) -> RebuildReport:
    repository = open_repository("hf://anna/faces")
    return rebuild(repository, published_recipe(repository), {"expw": root}, out, allow_differences=allow_differences)


def test_flags_come_back_and_what_lacks_its_evidence_is_counted(
    hub: LoopbackHub, audited: Path, faces_root: Path, tmp_path: Path
) -> None:
    publish(plan(audited, "anna/faces", Tier.DERIVED))
    assert list(verify("hf://anna/faces", deep=True).findings) == []
    report = again(tmp_path / "again", faces_root)
    assert report.differences == ()
    assert report.attached[-1] == "audit"
    assert report.lost == {
        "audit": "2 of 6 findings need evidence that was not published: `affect-data audit --check duplicates`, `--check leakage`"
    }
    before, after = read_audit(audited), read_audit(tmp_path / "again")
    kept = before.filter(pl.col("check") != "duplicates")
    assert sorted(after.select(NAMED).rows()) == sorted(kept.select(NAMED).rows())
    assert set(after["evidence"]) == {"{}"}
    assert stored_copies(open_dataset(tmp_path / "again")) == {}
    # The owner has what the evidence is made of.
    assert len(run_audits(open_dataset(tmp_path / "again"), ["duplicates"]).findings) == 0
    assert again(tmp_path / "again", faces_root).attached == ()


def test_at_tier_full_the_findings_come_back_whole(
    hub: LoopbackHub, audited: Path, faces_root: Path, tmp_path: Path
) -> None:
    publish(plan(audited, "anna/faces", Tier.FULL))
    report = again(tmp_path / "again", faces_root)
    assert report.attached[-1] == "audit"
    assert report.lost == {}
    before, after = read_audit(audited), read_audit(tmp_path / "again")
    assert sorted(after.rows()) == sorted(before.rows())


def test_a_finding_about_another_picture_or_other_labels_is_counted_and_not_attached(
    hub: LoopbackHub, audited: Path, faces_root: Path, tmp_path: Path
) -> None:
    publish(plan(audited, "anna/faces", Tier.FULL))
    root = Path(shutil.copytree(faces_root, tmp_path / "elsewhere"))
    line = open_dataset(audited).labels("validation", ["source_line"])["source_line"][0]
    lines = (root / "label/label.lst").read_text().splitlines()
    head, _, code = lines[line - 1].rpartition(" ")
    lines[line - 1] = f"{head} {(int(code) + 1) % 7}"
    (root / "label/label.lst").write_text("\n".join(lines) + "\n")
    report = again(tmp_path / "again", root, allow_differences=True)
    # The label of one row of validation is another; all rows of train are as they were.
    assert report.lost["audit"] == "3 of 6 findings are about another picture or other labels"
    assert set(read_audit(tmp_path / "again")["split"]) == {"train"}


def test_nothing_is_attached_to_a_dataset_of_other_pictures(
    hub: LoopbackHub, audited: Path, faces_root: Path, tmp_path: Path
) -> None:
    publish(plan(audited, "anna/faces", Tier.DERIVED))
    root = Path(shutil.copytree(faces_root, tmp_path / "elsewhere"))
    pictures = sorted((root / "image/origin").iterdir())
    first = pictures[0].read_bytes()
    for here, following in pairwise(pictures):
        here.write_bytes(following.read_bytes())
    pictures[-1].write_bytes(first)
    report = again(tmp_path / "again", root, allow_differences=True)
    assert "audit" not in report.attached
    assert report.lost["audit"].startswith("4 of 6 findings are about another picture or other labels; 2 of 6")
    with pytest.raises(NotAuditedError):
        read_audit(tmp_path / "again")
