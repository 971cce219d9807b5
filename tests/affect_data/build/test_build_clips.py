"""Builds of clips: one row each, their frames as found, what cannot be decoded, and what a killed or repeated build does."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from affect_data import load_dataset
from affect_data.build import build as build_module
from affect_data.build.build import BuildReport, build
from affect_data.build.existing import OutputTakenError
from affect_data.build.recipe import recipe_from
from affect_data.corrections.decisions import Decision, Labels
from affect_data.corrections.versions import apply_decisions, undo_version
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.schema import FRAMES, IMAGES
from affect_data.demo import dfew
from affect_data.demo.known_labels import reveal
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.world import TRUTH, truth_table
from affect_data.vocabulary import CLIP_SCOPE, EXPRESSIONS, LABEL_SCOPES

CLIPS = 14
CLIP = LABEL_SCOPES.index(CLIP_SCOPE)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen clips of drawn faces; for reading only."""
    root = tmp_path_factory.mktemp("clips") / "dfew"
    root.mkdir()
    placed = dfew.write(root, FaceSampler(3), CLIPS).faces
    truth_table("dfew", placed).write_parquet(root.parent / TRUTH)
    (root / DRAWN_MARKER).write_text("Faces drawn by a test; nobody's.\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def report(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    """The build of them all; its dataset is for reading only."""
    return built(drawn, tmp_path_factory.mktemp("built") / "merged")


@pytest.fixture
def own(drawn: Path, tmp_path: Path) -> Path:
    """Clips that a test may change."""
    return Path(shutil.copytree(drawn, tmp_path / "dfew"))


def built(root: Path, out: Path, overwrite: bool = False, **options: Any) -> BuildReport:
    recipe = recipe_from({"databases": {"dfew": {"incomplete": "accepted", **options}}, "shard_rows": 4})
    return build(recipe, {"dfew": root}, out, overwrite=overwrite)


def frames_of(dataset: DatasetFolder, uid: str) -> list[dict[str, Any]]:
    """Bytes and paths of the frames of a clip."""
    for split in dataset.splits:
        uids = dataset.labels(split, ["uid"])["uid"].to_list()
        if uid in uids:
            column = dataset.load(split, [FRAMES]).data.table.column("frames")
            return list(column.slice(uids.index(uid), 1).to_pylist()[0])
    raise AssertionError(uid)


def folder_of(root: Path, clip: str) -> Path:
    return root / "Clip" / "clip_224x224" / clip


def by_number(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: int(path.stem))


# ---------------------------------------------------------------- what is written


def test_a_clip_is_one_row_with_its_frames_as_found_in_the_order_of_their_numbers(
    drawn: Path, report: BuildReport
) -> None:
    dataset = report.dataset
    labels = dataset.labels("train")
    assert (labels["label_scope"] == CLIP).all()
    assert (labels["frame"] == -1).all()
    assert labels["uid"].to_list() == [f"dfew:{track}" for track in labels["track"]]
    for track in labels["track"]:
        files = by_number(folder_of(drawn, track))
        found = frames_of(dataset, f"dfew:{track}")
        assert [frame["bytes"] for frame in found] == [file.read_bytes() for file in files]
        assert [frame["path"] for frame in found] == [f"dfew/{file.relative_to(drawn).as_posix()}" for file in files]
    # Frames 7 to 14: by name, 10 would come before 7.
    assert [Path(frame["path"]).stem for frame in frames_of(dataset, "dfew:00003")] == [str(n) for n in range(7, 14)]


def test_its_image_and_digest_are_those_of_the_middle_frame(drawn: Path, report: BuildReport) -> None:
    images = report.dataset.load("train", [IMAGES]).data.table.column("image").to_pylist()
    labels = report.dataset.labels("train", ["track", "image_digest"])
    for image, (track, digest) in zip(images, labels.iter_rows(), strict=True):
        files = by_number(folder_of(drawn, track))
        assert image["bytes"] == files[len(files) // 2].read_bytes()
        assert digest == hashlib.sha256(image["bytes"]).hexdigest()


def test_clips_without_a_frame_are_counted_by_reason_and_frames_are_counted(report: BuildReport) -> None:
    found = report.databases["dfew"]
    assert (found.lines, found.rows) == (CLIPS, CLIPS - 2)
    assert found.failures == {"clip folder missing": 1, "clip without frames": 1}
    # Clips of 5, 6, 7 and 8 frames in turn, without the fourth and the fifth.
    lengths = [5 + position % 4 for position in range(CLIPS) if position not in (3, 4)]
    assert (found.frames, found.frames_left_out) == (sum(lengths), 0)
    assert found.masked == [{"task": "expression", "reason": "the list's class is not the most voted", "rows": 1}]


def test_load_dataset_gives_the_frames_as_pictures(report: BuildReport) -> None:
    row = load_dataset(report.dataset.path, "train")[0]
    assert row["label_scope"] == CLIP
    assert [frame.size for frame in row["frames"]] == [(48, 48)] * 5
    assert row["image"] == row["frames"][2]


def test_beside_other_databases_only_the_clips_have_frames(
    drawn: Path, make_expw: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = recipe_from({"databases": {"dfew": {"incomplete": "accepted"}, "expw": {}}})
    dataset = build(recipe, {"dfew": drawn, "expw": make_expw(tmp_path / "expw")}, tmp_path / "merged").dataset
    labels = dataset.labels("train", ["database", "label_scope"])
    lengths = dataset.load("train", [FRAMES]).data.table.column("frames").combine_chunks().value_lengths().to_pylist()
    for database, scope, length in zip(labels["database"], labels["label_scope"], lengths, strict=True):
        assert (scope == CLIP, length > 0) == (database == "dfew", database == "dfew")


def test_a_dataset_without_clips_has_neither_the_column_nor_the_group(
    make_expw: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_expw(tmp_path / "expw", faces=3)
    dataset = build(recipe_from({"databases": {"expw": {}}}), {"expw": root}, tmp_path / "merged").dataset
    assert not dataset.manifest.layout.clips
    assert FRAMES not in dataset.groups("train")
    assert "label_scope" not in dataset.load("train").column_names
    assert dataset.labels("train")["label_scope"].to_list() == [0, 0, 0]


def test_fewer_frames_are_kept_if_the_recipe_says_so_and_the_lock_tells_how_many(drawn: Path, tmp_path: Path) -> None:
    dataset = built(drawn, tmp_path / "merged", frames=2).dataset
    # Seven frames from 7 on in parts of 3 and 4, of which the middle ones are the second and the sixth.
    assert [Path(frame["path"]).stem for frame in frames_of(dataset, "dfew:00003")] == ["8", "12"]
    lock = json.loads((dataset.path / "dataset.lock.json").read_text())
    assert lock["recipe"]["databases"]["dfew"]["frames"] == 2
    assert lock["databases"]["dfew"]["frames"] == 2 * (CLIPS - 2)


def test_the_truth_of_drawn_clips_is_revealed_for_their_rows_and_their_frames_stay(
    drawn: Path, report: BuildReport, tmp_path: Path
) -> None:
    revealed = reveal(report.dataset.path, drawn.parent / TRUTH, tmp_path / "revealed")
    labels = pl.concat(revealed.labels(split) for split in revealed.splits)
    assert (labels["label_scope"] == CLIP).all()
    assert labels["au_mask"].to_numpy().any(axis=1).all()
    shown = dict(pl.read_parquet(drawn.parent / TRUTH).select("image", "shown").iter_rows())
    found = {
        image["path"].removeprefix("dfew/"): EXPRESSIONS[code]
        for split in revealed.splits
        for image, code in zip(
            revealed.load(split, [IMAGES]).data.table.column("image").to_pylist(),
            revealed.labels(split)["expression"],
            strict=True,
        )
    }
    assert found == shown
    assert frames_of(revealed, labels["uid"][0]) == frames_of(report.dataset, labels["uid"][0])


# ---------------------------------------------------------------- frames that cannot be decoded


def test_damaged_frames_are_left_out_and_named_and_the_middle_is_that_of_the_others(own: Path, tmp_path: Path) -> None:
    frames = by_number(folder_of(own, "00001"))
    for path in (frames[2], frames[4]):
        path.write_bytes(path.read_bytes()[:200])
    report = built(own, tmp_path / "merged")
    assert report.databases["dfew"].frames_left_out == 2
    kept = frames_of(report.dataset, "dfew:00001")
    assert [Path(frame["path"]).stem for frame in kept] == ["7", "8", "10"]
    lock = json.loads((report.dataset.path / "dataset.lock.json").read_text())
    named = [line for shard in lock["shards"] for line in shard["frames_left_out"]]
    assert [line.partition(": ")[0] for line in named] == [f"Clip/clip_224x224/00001/{n}.jpg" for n in (9, 11)]
    split = next(split for split in report.dataset.splits if "dfew:00001" in set(report.dataset.labels(split)["uid"]))
    place = report.dataset.labels(split)["uid"].to_list().index("dfew:00001")
    image = report.dataset.load(split, [IMAGES]).data.table.column("image").to_pylist()[place]
    assert image == kept[1]


def test_a_clip_of_which_no_frame_can_be_decoded_is_a_failure_that_says_why(own: Path, tmp_path: Path) -> None:
    for path in folder_of(own, "00002").iterdir():
        path.write_bytes(b"no picture")
    report = built(own, tmp_path / "merged")
    failed = report.dataset.failures().filter(pl.col("detail") != "")
    assert failed["reason"].to_list() == ["clip without frames"]
    assert failed["detail"][0].startswith("none of 6 can be decoded; Clip/clip_224x224/00002/7.jpg: not an image file")
    assert report.databases["dfew"].rows == CLIPS - 3


# ---------------------------------------------------------------- again, changed, killed


def test_the_same_clips_are_this_dataset_already_and_another_frame_is_another(
    own: Path, tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    first = built(own, tmp_path / "merged")
    before = digests(first.dataset.path)
    again = built(own, tmp_path / "merged")
    assert again.unchanged
    assert digests(first.dataset.path) == before
    assert again.databases["dfew"].frames == first.databases["dfew"].frames
    # The first frame is not the one that stands for the clip.
    path = by_number(folder_of(own, "00001"))[0]
    Image.new("RGB", (48, 48), (1, 2, 3)).save(path)
    with pytest.raises(OutputTakenError, match=r"pictures of (test|train): dfew"):
        built(own, tmp_path / "merged")
    changed = built(own, tmp_path / "merged", overwrite=True)
    old, new = first.dataset.manifest.fingerprints, changed.dataset.manifest.fingerprints
    assert (old.pictures != new.pictures, old.labels == new.labels, old.people == new.people) == (True, True, True)


def corrected_by(dataset: DatasetFolder, file: Path) -> tuple[Path, dict[str, Any]]:
    """A file of one decision, that the first neutral clip is sad, and the clip's labels."""
    row = dataset.labels("train").filter(pl.col("expression") == 0).row(0, named=True)
    decision = Decision(
        id="d0", uid=row["uid"], split="train", image_digest=row["image_digest"], face=row["face"], database="dfew",
        dataset=dataset.fingerprint, action="correct", old=Labels(expression="neutral"), new=Labels(expression="sadness"),
        who="ada", when="2026-11-22T10:00:00+00:00",
    )  # fmt: skip
    file.write_text(decision.to_line(), encoding="utf-8")
    return file, row


def test_over_an_older_dataset_with_other_labels_clips_with_damaged_frames_stay_as_they_are(
    own: Path, tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    frames = by_number(folder_of(own, "00001"))
    # The middle one is not that of all frames.
    for path in (frames[0], frames[1], frames[2]):
        path.write_bytes(path.read_bytes()[:200])
    for path in folder_of(own, "00002").iterdir():
        path.write_bytes(b"no picture")
    first = built(own, tmp_path / "merged")
    files = {path.stat().st_ino for path in first.dataset.path.glob("*/frames/*.arrow")}
    apply_decisions(first.dataset.path, corrected_by(first.dataset, tmp_path / "decisions.jsonl")[0])
    again = built(own, tmp_path / "merged", overwrite=True)
    assert {path.stat().st_ino for path in again.dataset.path.glob("*/frames/*.arrow")} == files
    assert [(part.pictures_written, part.labels_written > 0) for part in again.parts] == [(0, True)]
    fresh = built(own, tmp_path / "fresh")
    assert digests(again.dataset.path) == digests(fresh.dataset.path)


def test_a_build_that_is_killed_after_packing_ends_with_the_same_bytes(
    drawn: Path, report: BuildReport, tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "seal", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            built(drawn, tmp_path / "merged")
    resumed = built(drawn, tmp_path / "merged")
    assert resumed.shards_reused == resumed.shards > 2
    assert digests(resumed.dataset.path) == digests(report.dataset.path)


def test_a_correction_of_a_clip_leaves_pictures_and_frames_and_can_be_undone(own: Path, tmp_path: Path) -> None:
    dataset = built(own, tmp_path / "merged").dataset
    file, row = corrected_by(dataset, tmp_path / "decisions.jsonl")
    before = frames_of(dataset, row["uid"])
    after = apply_decisions(dataset.path, file).dataset
    corrected = after.labels("train").filter(pl.col("uid") == row["uid"])
    assert corrected.select("expression", "label_scope").rows() == [(5, CLIP)]
    assert frames_of(after, row["uid"]) == before
    assert after.manifest.fingerprints.pictures == dataset.manifest.fingerprints.pictures
    undone, _ = undo_version(dataset.path)
    assert undone.fingerprint == dataset.fingerprint
    assert open_dataset(dataset.path).labels("train").equals(dataset.labels("train"))
