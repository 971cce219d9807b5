"""What databases share: families as the readers state them, bad frames, tracks of two splits."""

import pytest

from affect_data.databases.catalogue import describe_database, facts
from affect_data.databases.disfa.reader import SUBJECTS
from affect_data.databases.families import BAD_FRAMES, CROSS_TASK_TRACKS, FAMILIES, shared_picture
from affect_data.databases.registry import DATABASES


def test_every_family_has_a_reader_that_states_it_and_is_a_member() -> None:
    for name, family in FAMILIES.items():
        titles = {database.title for database in DATABASES.values() if database.source_family == name}
        assert titles
        assert titles <= set(family.members), name
        assert family.facts


@pytest.mark.parametrize("database", sorted({*BAD_FRAMES, *CROSS_TASK_TRACKS}))
def test_what_is_known_of_files_is_of_a_database_that_is_read(database: str) -> None:
    assert database in DATABASES


def test_the_bad_frames_of_disfa_are_as_many_as_jaanet_leaves_out() -> None:
    bad = BAD_FRAMES["disfa"]
    assert sum(frames.last - frames.first + 1 for frames in bad) == 130_814 - 126_144
    assert sum(frames.last - frames.first + 1 for frames in bad if frames.track == "SN021") == 3_052
    assert {frames.track for frames in bad} <= set(SUBJECTS)
    assert all(1 <= frames.first <= frames.last <= 4_845 for frames in bad)


def test_86_tracks_of_aff_wild2_are_in_two_splits_each_named_once() -> None:
    tracks = CROSS_TASK_TRACKS["affwild2"]
    assert len(tracks) == len(set(tracks)) == 86
    assert list(tracks) == sorted(tracks)


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("raf_au:aligned/0001_aligned.jpg", "0001"),
        ("raf_ml:Image/original/0001.jpg", "0001"),
        ("raf_db:basic/Image/aligned/train_00001_aligned.jpg", None),
        ("raf_db:compound/Image/original/train_0001.jpg", None),
    ],
)
def test_the_pictures_of_three_raf_databases_share_their_names(uid: str, name: str | None) -> None:
    picture = shared_picture("raf")
    assert picture is not None
    found = picture.search(uid)
    assert (found[1] if found else None) == name


def test_a_family_without_shared_names_and_no_family_have_none() -> None:
    assert shared_picture("disfa") is None
    assert shared_picture("expw") is None


def test_they_are_printed() -> None:
    assert "\nfamily disfa: DISFA, DISFA+, FEAFA+ (part B)\n" in describe_database("disfa")
    assert (
        "known bad frames (4,670; no landmarks by JAA-Net; their labels count): SN001 398-420, "
        in describe_database("disfa")
    )
    assert "in validation for another (86): 1-30-1280x720, " in describe_database("affwild2")
    assert "family" not in describe_database("expw").split("native values")[1]
    assert facts("raf_au")["family"] == ["RAF-AU", "RAF-ML", "RAF-CE", "RAF-DB"]
