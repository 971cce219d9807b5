"""What a tier holds before anything is sent: findings of audits, groups that are left out, tables that are used again."""

import json
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from affect_data.audit.base import FINDINGS
from affect_data.audit.run import run_audits, write_audit
from affect_data.databases.base import Tier
from affect_data.dataset.folder import open_dataset
from affect_data.hub.published import Published
from affect_data.hub.published_lock import FEWEST_FACES, SMALL_FILES, published_lock
from affect_data.hub.staging import stage
from affect_data.leaks.folds import write_folds


def staged(faces: Path, tier: Tier) -> tuple[Path, Published]:
    found = stage(open_dataset(faces), "anna/faces", tier)
    return found.folder, found.published


def test_findings_of_audits_leave_without_their_evidence_below_tier_full(faces: Path) -> None:
    findings = run_audits(open_dataset(faces), ["face_quality"]).findings
    assert len(findings)
    columns, rows = {}, 0
    for tier in (Tier.DERIVED, Tier.FULL):
        folder, published = staged(faces, tier)
        tables = [
            pq.read_table(folder / path) for paths in published.configs["audit"].splits.values() for path in paths
        ]
        columns[tier], rows = tables[0].column_names, sum(map(len, tables))
        assert rows == len(findings)
    assert columns[Tier.DERIVED] == ["uid", "picture_key", "check", "severity", "score"]
    assert columns[Tier.FULL] == ["uid", "picture_key", "check", "severity", "score", "evidence"]


def test_a_score_from_which_a_label_follows_leaves_as_a_place_in_the_order(faces: Path) -> None:
    folder = open_dataset(faces)
    uids = folder.labels("train", ("uid",))["uid"]
    common = {"split": "train", "check": "occurrence_intensity", "severity": "review", "evidence": "{}"}
    rows = [{**common, "uid": uid, "score": score} for uid, score in zip(uids, (0.7, 0.7, 0.6, 1.0), strict=False)]
    write_audit(folder, pl.DataFrame(rows, schema=FINDINGS))
    place, published = staged(faces, Tier.DERIVED)
    found = pl.read_parquet(place / published.configs["audit"].splits["train"][0])
    assert dict(zip(found["uid"], found["score"], strict=True)) == {
        uids[0]: 0.75,
        uids[1]: 0.75,
        uids[2]: 0.25,
        uids[3]: 1.0,
    }


def test_what_is_stale_is_left_out_with_the_command_that_makes_it_again(faces: Path) -> None:
    run_audits(open_dataset(faces), ["face_quality"])
    manifest = json.loads((faces / "dataset.json").read_text())
    manifest["provenance"]["folds.cv"]["made_from"]["people"] = "0" * 16
    (faces / "dataset.json").write_text(json.dumps(manifest))
    folder = open_dataset(faces)
    _, published = staged(faces, Tier.DERIVED)
    assert published.left_out == {"folds.cv": "stale: `affect-data folds DATASET --name cv` makes it again"}
    assert [*published.configs] == ["soft-teacher", "audit"]
    write_folds(folder, "cv", 2)
    assert "folds-cv" in staged(faces, Tier.DERIVED)[1].configs


def test_a_finished_table_is_written_once(faces: Path) -> None:
    folder, published = staged(faces, Tier.FULL)
    tables = [folder / path for path in published.files if path.endswith(".parquet")]
    before = {path: path.stat().st_mtime_ns for path in tables}
    tables[0].unlink()
    (folder / "data/train/foreign.parquet").write_bytes(b"")
    again, _ = staged(faces, Tier.FULL)
    changed = {path for path in tables if path.stat().st_mtime_ns != before[path]}
    assert (again, changed) == (folder, {tables[0]})
    assert not (folder / "data/train/foreign.parquet").exists()


def test_no_digest_of_the_published_lock_covers_few_faces(faces: Path) -> None:
    lock = json.loads((faces / "dataset.lock.json").read_text())
    small = {f"few/{number}.txt": f"{number:064x}" for number in range(3)}
    lock["databases"]["expw"]["annotation_files"] |= small
    lock["databases"]["expw"]["rows"] = 6
    lock["content"]["rows"]["validation"]["expw"] = FEWEST_FACES - 1
    (faces / "dataset.lock.json").write_text(json.dumps(lock))
    found = published_lock(open_dataset(faces))
    # Two faces a file on average, and three files are too few for a digest over all of them.
    assert list(found["databases"]["expw"]["annotation_files"]) == ["label/label.lst"]
    assert found["content"]["labels"]["validation"] == {}
    assert "expw" in found["content"]["labels"]["train"]
    shards = {(shard["split"], shard["index"]): shard for shard in found["shards"]}
    assert [shard["rows"] for shard in shards.values()] == [8, 6, 8, 2]
    assert shards["validation", 1]["fingerprints"] == {}
    assert "train/labels/data-00001-of-00002.arrow" in found["files"]
    assert "validation/labels/data-00001-of-00002.arrow" not in found["files"]


def test_small_annotation_files_share_one_digest(faces: Path) -> None:
    lock = json.loads((faces / "dataset.lock.json").read_text())
    files = lock["databases"]["expw"]["annotation_files"]
    files |= {f"few/{number:02d}.txt": f"{number:064x}" for number in range(24)}
    (faces / "dataset.lock.json").write_text(json.dumps(lock))
    first = published_lock(open_dataset(faces))["databases"]["expw"]["annotation_files"]
    assert list(first) == ["label/label.lst", SMALL_FILES]
    files["few/03.txt"] = "f" * 64
    (faces / "dataset.lock.json").write_text(json.dumps(lock))
    assert published_lock(open_dataset(faces))["databases"]["expw"]["annotation_files"] != first
