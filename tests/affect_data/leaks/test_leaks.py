from pathlib import Path

import numpy as np
import polars as pl
import pytest

from affect_data.build.build import BuildReport, build
from affect_data.build.recipe import recipe_from
from affect_data.databases.registry import DATABASES
from affect_data.leaks.leaks import LeakError, find_leaks, guard, guard_dataset, source_family


def rows(*given: tuple[str, str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(list(given), schema=["database", "split", "subject", "track"], orient="row")


LEAKING = rows(
    ("affwild2", "train", "s1", "t1"),
    ("affwild2", "validation", "s1", "t2"),
    ("affwild2", "test", "s9", "t1"),
    ("disfa", "train", "s9", ""),
    ("expw", "train", "", ""),
    ("expw", "validation", "", ""),
)


def test_subjects_and_tracks_in_two_splits_are_leaks() -> None:
    assert find_leaks(LEAKING).rows() == [
        ("subject", "affwild", "s1", ["train", "validation"], 2),
        ("track", "affwild", "t1", ["test", "train"], 2),
    ]


def test_databases_of_one_family_share_their_subjects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATABASES["expw"], "source_family", "disfa")
    found = find_leaks(
        rows(("disfa", "train", "SN001", ""), ("expw", "test", "SN001", ""), ("afew_va", "test", "SN001", ""))
    )
    assert found.rows() == [("subject", "disfa", "SN001", ["test", "train"], 2)]
    assert source_family("expw") == "disfa"


def test_groups_of_copies_leak_across_all_databases() -> None:
    labels = rows(("disfa", "train", "", ""), ("expw", "validation", "", ""), ("expw", "validation", "", ""))
    found = find_leaks(labels, pl.Series(["g", "g", None]))
    assert found.rows() == [("group", "any", "g", ["train", "validation"], 2)]


def test_the_guard_fails_with_the_list_but_accepts_leaks_that_follow_the_tasks() -> None:
    message = r"2 leak\(s\) between splits:\n  subject 's1' of affwild: 2 rows in train and validation\n  track 't1'"
    for policy in ("strict", "official"):
        with pytest.raises(LeakError, match=message):
            guard(LEAKING, policy)  # type: ignore[arg-type]
    assert len(guard(LEAKING, "follow_task")) == 2
    assert guard(LEAKING.head(1), "strict").is_empty()


def test_the_demo_world_does_not_leak(demo_report: BuildReport) -> None:
    assert guard_dataset(demo_report.dataset).is_empty()
    assert demo_report.leaks == ()


def test_a_build_that_leaks_is_refused_and_writes_nothing(
    demo_roots: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SameSubject(DATABASES["afew_va"]):  # type: ignore[misc,name-defined]
        def scan(self, root):  # type: ignore[no-untyped-def]
            found = super().scan(root)
            half = len(found) // 2
            split = pl.Series(["train"] * half + ["validation"] * (len(found) - half))
            return found.with_columns(
                pl.lit("one actor").alias("subject"), split.alias("split"), pl.lit("").alias("track")
            )

    monkeypatch.setitem(DATABASES, "afew_va", SameSubject)
    recipe = recipe_from({"databases": {"afew_va": {}}}, "test")
    with pytest.raises(LeakError, match=r"subject 'one actor' of afew: .* rows in train and validation"):
        build(recipe, demo_roots, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    tolerant = recipe_from({"databases": {"afew_va": {}}, "splits": {"policy": "follow_task"}}, "test")
    report = build(tolerant, demo_roots, tmp_path / "out")
    assert [leak["key"] for leak in report.leaks] == ["one actor"]


def test_many_leaks_are_counted_as_hand_counting_does() -> None:
    rng = np.random.default_rng(0)
    given = [(f"s{rng.integers(40)}", ("train", "validation", "test")[rng.integers(3)]) for _ in range(90)]
    found = find_leaks(rows(*(("affwild2", split, subject, "") for subject, split in given)))
    expected = {}
    for subject in {subject for subject, _ in given}:
        splits = sorted({split for own, split in given if own == subject})
        if len(splits) > 1:
            expected[subject] = (splits, sum(own == subject for own, _ in given))
    assert {key: (splits, count) for _, _, key, splits, count in found.rows()} == expected
    assert found["key"].to_list() == sorted(expected)


def test_one_picture_under_one_name_in_two_databases_is_a_leak_between_splits() -> None:
    given = [
        ("raf_au", "train", "raf_au:aligned/0007_aligned.jpg"),
        ("raf_ml", "test", "raf_ml:Image/original/0007.jpg"),
        ("raf_ml", "test", "raf_ml:Image/original/0008.jpg"),
        ("raf_db", "train", "raf_db:basic/Image/aligned/test_0008_aligned.jpg"),
        ("expw", "train", "expw:0008.jpg"),
    ]
    labels = pl.DataFrame(given, schema=["database", "split", "uid"], orient="row")
    labels = labels.with_columns(subject=pl.lit(""), track=pl.lit(""))
    assert find_leaks(labels).rows() == [("picture name", "raf", "0007", ["test", "train"], 2)]
    with pytest.raises(LeakError, match=r"picture name '0007' of raf: 2 rows in test and train"):
        guard(labels, "strict")
