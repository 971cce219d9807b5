"""The leak guard over a built dataset, with the groups of copies that its audit has stored."""

import hashlib
import io
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from labelled_rows import with_other
from PIL import Image

from affect_data.audit.run import run_audits
from affect_data.dataset.folder import DatasetFolder
from affect_data.leaks.leaks import LEAK_COLUMNS, LeakError, Part, dataset_leaks, guard_dataset


@pytest.fixture
def merged(make_dataset: Callable[..., DatasetFolder]) -> DatasetFolder:
    """One person, one video, one picture and one group of near copies in two splits each."""
    shared, near = png(1), png(2)
    return make_dataset(
        {
            "train": [
                {"uid": "a", "subject": "s1"},
                {"uid": "b", "subject": "s1", "track": "t1"},
                {"uid": "c", "image": shared},
                {"uid": "d", "database": "ferplus", "image": near},
                {"uid": "e", "subject": "s2", "database": "disfa"},
            ],
            "validation": [
                {"uid": "f", "subject": "s1"},
                {"uid": "g", "track": "t1"},
                {"uid": "h", "image": shared, "database": "expw"},
                {"uid": "i", "subject": "s2", "database": "expw"},
            ],
            "test": [{"uid": "j", "database": "ferplus", "image": brighter(near)}],
        }
    )


def png(seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 200, (16, 16), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC).save(sink, "PNG")
    return sink.getvalue()


def brighter(data: bytes) -> bytes:
    sink = io.BytesIO()
    Image.open(io.BytesIO(data)).point(lambda value: min(255, int(value * 1.2))).save(sink, "PNG")
    return sink.getvalue()


def test_people_videos_and_equal_pictures_in_two_splits_of_a_dataset_are_found(merged: DatasetFolder) -> None:
    digest = hashlib.sha256(png(1)).hexdigest()
    assert dataset_leaks(merged).rows() == [
        ("subject", "affwild", "s1", ["train", "validation"], 3),
        ("track", "affwild", "t1", ["train", "validation"], 2),
        ("picture", "any", digest, ["train", "validation"], 2),
    ]


def test_the_groups_of_a_stored_audit_are_part_of_the_guard_until_the_pictures_change(merged: DatasetFolder) -> None:
    run_audits(merged, ["duplicates"])
    groups = dataset_leaks(merged).filter(pl.col("kind") == "group")
    assert groups.rows() == [
        ("group", "any", "c", ["train", "validation"], 2),
        ("group", "any", "d", ["test", "train"], 2),
    ]
    assert dataset_leaks(with_other(merged, "labels", "people")).filter(pl.col("kind") == "group").equals(groups)
    assert "group" not in dataset_leaks(with_other(merged, "pictures"))["kind"].to_list()


def test_people_and_videos_are_refused_unless_accepted_and_pictures_only_where_asked(merged: DatasetFolder) -> None:
    with pytest.raises(LeakError, match=r"2 leak\(s\) between splits:\n  subject 's1' .*\n  track .*\n.*leaks: report"):
        guard_dataset(merged)
    assert len(guard_dataset(merged, leaks="report")) == 3
    with pytest.raises(LeakError, match=r"1 leak\(s\) between splits:\n  picture '.*' of any: 2 rows in train and val"):
        guard_dataset(merged, leaks="report", copies="refuse")


def test_parts_of_a_split_are_held_against_each_other(merged: DatasetFolder) -> None:
    first = np.array([True, False, False, False, False])
    parts = [Part("rest", "train", ~first), Part("fold", "train", first), Part("test", "test")]
    assert dataset_leaks(merged, parts).rows() == [("subject", "affwild", "s1", ["fold", "rest"], 2)]


def test_an_empty_part_and_a_dataset_of_one_split_do_not_leak(
    make_dataset: Callable[..., DatasetFolder], merged: DatasetFolder
) -> None:
    nobody = Part("nobody", "train", np.zeros(5, bool))
    assert dataset_leaks(merged, [nobody, Part("validation", "validation")]).is_empty()
    alone = make_dataset({"train": [{"subject": "s"}, {"subject": "s"}]}, "alone")
    assert dict(guard_dataset(alone).schema) == LEAK_COLUMNS
