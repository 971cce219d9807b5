"""Checks of pictures, on drawn faces of which copies and defects are planted."""

import io
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageFilter

from affect_data.audit.base import AuditedDataset
from affect_data.audit.checks.duplicates import Duplicates
from affect_data.audit.checks.face_quality import FaceQuality, GreyAsColour
from affect_data.audit.checks.half_decoded import HalfDecoded
from affect_data.audit.checks.leakage import Leakage

Find = Callable[..., pl.DataFrame]


def photograph(seed: int, side: int = 96) -> Image.Image:
    """A picture in colour with detail at all scales, as photographs have, that no other seed gives."""
    rng = np.random.default_rng(seed)
    layers = np.zeros((side, side, 3))
    for cells, weight in ((4, 90), (8, 45), (16, 22), (64, 24)):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        layers += (np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)) / 127.5 - 1) * weight
    return Image.fromarray((128 + layers).clip(0, 255).astype(np.uint8))


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=quality)
    return sink.getvalue()


def png(pixels: np.ndarray) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def copies(picture: Image.Image) -> dict[str, bytes]:
    side = picture.width
    return {
        "recompressed": jpeg(picture, 50),
        "resized": jpeg(picture.resize((side // 2, side // 2), Image.Resampling.BICUBIC)),
        "brighter": jpeg(picture.point(lambda value: min(255, int(value * 1.25)))),
        "cropped": jpeg(picture.crop((side // 20, 0, side, side - side // 16))),
        "grey": jpeg(picture.convert("L")),
    }


def test_copies_are_grouped_and_other_pictures_are_not(make_dataset: Callable[..., object]) -> None:
    rows = []
    for seed in range(40):
        picture = photograph(seed)
        rows.append({"uid": f"{seed}", "image": jpeg(picture, 95)})
        if seed < 20:
            rows += [{"uid": f"{seed}/{kind}", "image": data} for kind, data in copies(picture).items()]
    dataset = AuditedDataset(make_dataset({"train": rows}))  # type: ignore[arg-type]
    found = dataset.copies
    uids = dataset.identified(dataset.rows("database"))["uid"].to_list()
    named = [uids[first] for first in found.of_row]
    right = [name == uid.partition("/")[0] for name, uid in zip(named, uids, strict=True)]
    planted = [("/" in uid) for uid in uids]
    recall = np.mean([ok for ok, copy in zip(right, planted, strict=True) if copy])
    assert recall >= 0.98
    assert all(name.partition("/")[0] == uid.partition("/")[0] for name, uid in zip(named, uids, strict=True))
    assert {level for level, uid in zip(found.level, uids, strict=True) if int(uid.partition("/")[0]) >= 20} == {""}


def test_equal_bytes_equal_pixels_and_near_copies_are_told_apart(find: Find) -> None:
    face, other, third = photograph(1), photograph(2), photograph(3)
    rows = [
        {"uid": "bytes a", "image": jpeg(face)},
        {"uid": "bytes b", "image": jpeg(face)},
        {"uid": "pixels a", "image": png(np.asarray(other))},
        {"uid": "pixels b", "image": png(np.asarray(other)) + b"trailing"},
        {"uid": "near a", "image": jpeg(third, 95)},
        {"uid": "near b", "image": jpeg(third, 60)},
        {"uid": "alone", "image": jpeg(photograph(4))},
    ]
    found = find(Duplicates, {"train": rows})
    level = {uid: evidence["level"] for uid, evidence in zip(found["uid"], found["evidence"], strict=True)}
    assert level == {f"{kind} {n}": kind for kind in ("bytes", "pixels", "near") for n in "ab"}
    assert set(found["severity"]) == {"review"}
    near = found.filter(pl.col("uid").str.starts_with("near"))
    assert (near["score"] > 0.95).all()
    assert (near["score"] < 1).all()


def test_mirrored_copies_are_found_and_named_so(find: Find) -> None:
    mirrored = photograph(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    rows = [{"uid": "face", "image": jpeg(photograph(1))}, {"uid": "mirrored", "image": jpeg(mirrored, 70)}]
    rows += [{"uid": f"{seed}", "image": jpeg(photograph(seed))} for seed in range(2, 20)]
    found = find(Duplicates, {"train": rows}).sort("uid")
    assert found["uid"].to_list() == ["face", "mirrored"]
    assert [e["level"] for e in found["evidence"]] == ["mirrored", "mirrored"]
    assert (found["score"] >= 0.98).all()


def test_copies_in_two_splits_are_errors_and_conflicting_labels_are_warnings(find: Find) -> None:
    shared, conflicting = jpeg(photograph(1)), jpeg(photograph(2))
    found = find(
        Duplicates,
        {
            "train": [
                {"uid": "a", "image": shared, "expression": "fear"},
                {"uid": "c", "image": conflicting, "expression": "fear", "au": {12: 1}, "va": (0.5, 0.0)},
                {"uid": "d", "image": conflicting, "expression": "anger", "au": {12: 0}, "va": (0.0, 0.0)},
            ],
            "validation": [{"uid": "b", "image": shared, "expression": "fear"}],
        },
    ).sort("uid")
    assert found["severity"].to_list() == ["error", "error", "warning", "warning"]
    assert [e["conflict"] for e in found["evidence"]] == [[], [], *[["expression", "au", "va"]] * 2]
    assert found["evidence"][0]["splits"] == ["train", "validation"]


def test_faces_of_one_photograph_are_no_copies_of_each_other(find: Find) -> None:
    photo = jpeg(photograph(1, side=200))
    rows = [
        {"uid": "left", "image": photo, "face_box": [0.0, 0.0, 90.0, 90.0]},
        {"uid": "right", "image": photo, "face_box": [100.0, 100.0, 190.0, 190.0]},
    ]
    assert find(Duplicates, {"train": rows}).is_empty()


def test_frames_of_a_track_are_copies_of_another_track_but_not_of_each_other(find: Find) -> None:
    face = photograph(1)
    rows = [{"uid": f"t{q}", "track": "t", "frame": q, "image": jpeg(face, q)} for q in range(80, 90)]
    assert find(Duplicates, {"train": rows}).is_empty()


def test_near_copies_of_a_track_elsewhere_are_found(make_dataset: Callable[..., object]) -> None:
    face = photograph(1)
    rows = [{"uid": f"t{q}", "track": "t", "frame": q, "image": jpeg(face, q)} for q in range(80, 90)]
    rows.append({"uid": "elsewhere", "image": jpeg(face, 40)})
    found = Duplicates().find(AuditedDataset(make_dataset({"train": rows})))  # type: ignore[arg-type]
    assert "elsewhere" in found["uid"].to_list()


def test_blank_pictures_are_no_copies_of_each_other(find: Find) -> None:
    rows = [{"image": png(np.full((48, 48), level, np.uint8))} for level in (0, 0, 255)]
    assert find(Duplicates, {"train": rows}).filter(pl.col("score") < 1).is_empty()
    assert Leakage.severity == "error"


def test_tiny_blurred_blank_and_odd_pictures_are_found(find: Find) -> None:
    face = photograph(1, side=128)
    rows = [
        {"uid": "good", "image": jpeg(face)},
        {"uid": "tiny", "image": jpeg(face.resize((24, 24)))},
        {"uid": "tiny box", "image": jpeg(face), "face_box": [10.0, 10.0, 30.0, 32.0]},
        {"uid": "blank", "image": png(np.full((64, 64), 128, np.uint8))},
        {"uid": "box outside", "image": jpeg(face), "face_box": [500.0, 500.0, 600.0, 600.0]},
        {"uid": "long", "image": jpeg(face.crop((0, 0, 128, 40)))},
        {"uid": "blurred", "image": jpeg(face.filter(ImageFilter.GaussianBlur(8)))},
    ]
    found = find(FaceQuality, {"train": rows}).sort("uid")
    said = [(u, e["defect"]) for u, e in zip(found["uid"], found["evidence"], strict=True)]
    assert said == [
        ("blank", "blank"),
        ("blurred", "blurred"),
        ("box outside", "blank"),
        ("long", "aspect"),
        ("tiny", "tiny"),
        ("tiny box", "tiny"),
    ]
    assert found["score"].is_between(0.5, 1.0).all()


def test_grey_in_colour_files_is_found_where_others_are_in_colour(find: Find) -> None:
    grey = photograph(2).convert("L")
    rows = [
        {"uid": "colour", "image": jpeg(photograph(1))},
        {"uid": "grey as colour", "image": jpeg(grey.convert("RGB"))},
        {"uid": "grey", "image": jpeg(grey)},
        {"uid": "all grey", "database": "ferplus", "image": jpeg(photograph(3).convert("L").convert("RGB"))},
    ]
    found = find(GreyAsColour, {"train": rows})
    assert found["uid"].to_list() == ["grey as colour"]
    assert found["score"].item() == pytest.approx(1 / 3)


def test_a_face_of_which_the_lower_half_is_lost_is_found_on_each_of_its_rows(find: Find) -> None:
    whole = jpeg(photograph(1))
    cut = whole[: len(whole) // 2] + b"\xff\xd9"
    halved = np.asarray(Image.open(io.BytesIO(cut)).convert("L"))
    assert (halved[-16:] == 128).all()  # Pillow decodes it, and half of it is grey
    rows = [
        {"uid": "whole", "image": whole},
        {"uid": "cut", "image": cut},
        {"uid": "the same again", "image": cut, "face_box": [4.0, 4.0, 40.0, 40.0]},
        {"uid": "left over", "image": whole[:20] + b"\0\x11" + whole[20:]},
        {"uid": "no JPEG", "image": png(np.asarray(photograph(2)))},
    ]
    found = find(HalfDecoded, {"train": rows})
    assert found.select("uid", "severity", "score").rows() == [
        ("cut", "warning", 1.0),
        ("the same again", "warning", 1.0),
        ("left over", "review", 0.5),
    ]
    assert found["evidence"][0] == {"decoder": "Corrupt JPEG data: premature end of data segment"}


def test_leaks_of_subjects_tracks_and_copies_are_found_on_the_rows_that_are_not_train(find: Find) -> None:
    shared = jpeg(photograph(1))
    found = find(
        Leakage,
        {
            "train": [
                {"uid": "a", "subject": "s1"},
                {"uid": "b", "track": "t1"},
                {"uid": "c", "image": shared},
                {"uid": "d", "subject": "s2"},
            ],
            "validation": [
                {"uid": "e", "subject": "s1"},
                {"uid": "f", "track": "t1"},
                {"uid": "g", "image": shared, "database": "expw"},
                {"uid": "h", "subject": "s2", "database": "expw"},
                {"uid": "i", "subject": "s3"},
            ],
        },
    ).sort("uid")
    said = [(u, e["kind"]) for u, e in zip(found["uid"], found["evidence"], strict=True)]
    assert said == [("e", "subject"), ("f", "track"), ("g", "group")]
    assert set(found["severity"]) == {"error"}
