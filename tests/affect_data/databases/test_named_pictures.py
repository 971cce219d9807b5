"""Pictures that rows name: which are outside of the folder of their database, and which do not exist."""

import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affect_data.confinement import ConfinedFolder
from affect_data.databases.named_pictures import NamedPictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in folders, links to pictures and folders inside and outside, and a name that is no text."""
    above = tmp_path_factory.mktemp("pictures")
    for path in ("root/1.jpg", "root/a/1.jpg", "root/a/ä.jpg", "root/a/b/2.jpg", "root/a:/1.jpg", "other/1.jpg"):
        (above / path).parent.mkdir(parents=True, exist_ok=True)
        (above / path).touch()
    root = above / "root"
    (root / "in.jpg").symlink_to(root / "1.jpg")
    (root / "out.jpg").symlink_to(above / "other/1.jpg")
    (root / "a/out.jpg").symlink_to(above / "other/1.jpg")
    (root / "far").symlink_to(above / "other")
    (root / "near").symlink_to(root / "a")
    (root / "a" / os.fsdecode(b"\xff.jpg")).touch()
    return root


PARTS = (
    "1.jpg",
    "2.jpg",
    "ä.jpg",
    "in.jpg",
    "out.jpg",
    "a",
    "b",
    "a:",
    "far",
    "near",
    "..",
    ".",
    "",
    "no",
    "other",
    "\\",
    "c:",
)
PATHS = st.lists(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("/".join), max_size=12)


@given(PATHS)
@settings(max_examples=100, deadline=None)
def test_what_is_said_of_many_paths_is_what_is_true_of_each(folder: Path, paths: list[str]) -> None:
    confined = ConfinedFolder(folder)
    named = NamedPictures.of(pl.Series(paths, dtype=pl.String))
    outside = {path: because for path in paths if (because := ConfinedFolder(folder).leaves(path))}
    assert named.outside(confined) == outside
    absent = named.absent(confined).to_list()
    for path, is_absent in zip(paths, absent, strict=True):
        if path not in outside:
            is_folder = not path or path.endswith(("/", "."))
            assert is_absent == (is_folder or not os.path.lexists(f"{folder}/{path}")), path


def test_links_may_be_followed(folder: Path) -> None:
    named = NamedPictures.of(pl.Series(["out.jpg", "far/1.jpg", "a/1.jpg"]))
    assert set(named.outside(ConfinedFolder(folder))) == {"out.jpg", "far/1.jpg"}
    assert named.outside(ConfinedFolder(folder, follow_links=True)) == {}
    assert named.absent(ConfinedFolder(folder, follow_links=True)).to_list() == [False, False, False]


def test_no_folder_outside_is_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = []
    original = ConfinedFolder.names
    monkeypatch.setattr(ConfinedFolder, "names", lambda self, name="": listed.append(name) or original(self, name))
    paths = ["far/1.jpg", "../other/1.jpg", "/1.jpg", "a/../../other/1.jpg", "a/1.jpg"]
    assert NamedPictures.of(pl.Series(paths)).absent(ConfinedFolder(folder)).to_list() == [True] * 4 + [False]
    assert not [name for name in listed if ".." in name or name in ("far", "/")]
