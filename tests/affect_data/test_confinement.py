"""Paths that files name stay inside their folder, by name and by link."""

import os
from pathlib import Path

import pytest
from PIL import Image

from affect_data.build.build import build
from affect_data.build.check import check
from affect_data.build.recipe import recipe_from
from affect_data.confinement import ConfinedFolder, OutsideError
from affect_data.databases.expw import ExpW
from affect_data.databases.root import DatabaseRoot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file, a folder and links of every kind, beside a secret."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.jpg").write_bytes(b"x")
    inside = tmp_path / "root"
    (inside / "deep/er").mkdir(parents=True)
    (inside / "deep/er/a.jpg").write_bytes(b"x")
    (inside / "link.jpg").symlink_to("deep/er/a.jpg")
    (inside / "out.jpg").symlink_to(tmp_path / "secret/a.jpg")
    (inside / "deep/out").symlink_to("../../secret")
    (inside / "deep/in").symlink_to(inside / "deep/er")
    (inside / "again").symlink_to("deep/out")
    (inside / "here").symlink_to(".")
    (inside / "self").symlink_to("self")
    return inside


@pytest.mark.parametrize(
    "path",
    ["deep/er/a.jpg", "link.jpg", "deep/in/a.jpg", "deep/../deep/er/a.jpg", "nothing/here.jpg", "a..b/..c.jpg", "./link.jpg", "self", "", "a\\b.jpg"],
)  # fmt: skip
def test_what_stays_inside_is_let_pass(folder: Path, path: str) -> None:
    assert ConfinedFolder(folder).leaves(path) == ""


@pytest.mark.parametrize(
    ("path", "because"),
    [
        ("../secret/a.jpg", "leads out of the folder by '..'"),
        ("deep/../../secret/a.jpg", "leads out of the folder by '..'"),
        ("..", "leads out of the folder by '..'"),
        ("deep\\..\\..\\secret\\a.jpg", "leads out of the folder by '..'"),
        ("/etc/passwd", "is an absolute path"),
        ("/passwd", "is an absolute path"),
        ("\\\\server\\share\\a.jpg", "is an absolute path"),
        ("C:\\a.jpg", "is an absolute path"),
        ("c:a.jpg", "is an absolute path"),
        ("a\0b", "holds a zero byte"),
        ("out.jpg", "is a symbolic link that leads out of the folder"),
        ("deep/out/a.jpg", "lies below the symbolic link 'deep/out', which leads out of the folder"),
        ("again/a.jpg", "lies below the symbolic link 'again', which leads out of the folder"),
        ("deep/er/../out/a.jpg", "leads out of the folder by a symbolic link in 'deep/er/../out'"),
        ("here/../secret/a.jpg", "leads out of the folder by a symbolic link in 'here/../secret'"),
        ("deep/in/../../out.jpg", "is a symbolic link that leads out of the folder"),
    ],
)
def test_what_leaves_is_refused_by_name(folder: Path, path: str, because: str) -> None:
    confined = ConfinedFolder(folder)
    assert because in confined.leaves(path)
    with pytest.raises(OutsideError, match="and is not read; "):
        confined.check(path)


def test_only_links_may_be_followed_out(folder: Path) -> None:
    confined = ConfinedFolder(folder, follow_links=True)
    assert confined.leaves("out.jpg") == confined.leaves("deep/out/a.jpg") == ""
    for path in ("../secret/a.jpg", "/etc/passwd"):
        assert confined.leaves(path)
    assert "--follow-links" in ConfinedFolder(folder).remedy("out.jpg")
    assert "--follow-links" not in ConfinedFolder(folder).remedy("../secret/a.jpg")


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "named").symlink_to(folder)
    confined = ConfinedFolder(tmp_path / "named")
    assert confined.leaves("deep/in/a.jpg") == ""
    assert confined.leaves("out.jpg")


def test_twenty_thousand_files_are_listed_once_and_not_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number:05d}.jpg" for number in range(20_000)]
    for name in names[:200]:
        (tmp_path / name).touch()
    listed, resolved = [], []
    scandir, realpath = os.scandir, os.path.realpath
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(path), scandir(path))[1])
    monkeypatch.setattr(os.path, "realpath", lambda path: (resolved.append(path), realpath(path))[1])
    confined = ConfinedFolder(tmp_path)
    assert not any(map(confined.leaves, names))
    assert (len(listed), resolved) == (1, [])


# ---------------------------------------------------------------- databases


def expw(root: Path, *photos: str) -> Path:
    (root / "label").mkdir(parents=True)
    (root / "image/origin").mkdir(parents=True)
    (root / "label/label.lst").write_text(
        "".join(f"{photo} 0 1 1 7 7 10 {row % 7}\n" for row, photo in enumerate(photos))
    )
    Image.new("RGB", (8, 8)).save(root / "image/origin/a.jpg")
    return root


def test_a_picture_to_which_a_link_leads_out_is_a_defect_that_names_the_option(tmp_path: Path) -> None:
    root = expw(tmp_path / "expw", "a.jpg", "b.jpg")
    Image.new("RGB", (8, 8)).save(tmp_path / "elsewhere.jpg")
    (root / "image/origin/b.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    (defect,) = ExpW().read(DatabaseRoot(root)).defects
    assert str(defect) == (
        "label/label.lst:2: found 'image/origin/b.jpg', which is a symbolic link that leads out of the folder; expected a file inside the root; "
        "to fix: put a copy there, or add --follow-links where the link is your own"
    )
    recipe = recipe_from({"databases": {"expw": {"incomplete": "accepted"}}}, "x")
    assert not check(recipe, {"expw": root})[0].is_clean
    assert check(recipe, {"expw": root}, follow_links=True)[0].is_clean
    assert build(recipe, {"expw": root}, tmp_path / "merged", follow_links=True).dataset.rows("train") == 2


def test_a_folder_of_pictures_that_is_a_link_is_one_defect(tmp_path: Path) -> None:
    photos = [f"{number}.jpg" for number in range(50)]
    root = expw(tmp_path / "expw", *photos)
    (root / "image/origin").rename(tmp_path / "origin")
    for photo in photos:
        Image.new("RGB", (8, 8)).save(tmp_path / "origin" / photo)
    (root / "image/origin").symlink_to(tmp_path / "origin")
    (defect,) = ExpW().read(DatabaseRoot(root)).defects
    assert defect.count == 50
    assert "lies below the symbolic link 'image/origin', which leads out of the folder" in defect.found


def test_a_list_cannot_name_a_picture_outside(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "elsewhere.jpg")
    root = expw(tmp_path / "expw", "../../../elsewhere.jpg")
    defects = ExpW().read(DatabaseRoot(root)).defects
    assert defects
    assert not ExpW().read(DatabaseRoot(root)).rows.height
    assert not check(recipe_from({"databases": {"expw": {}}}, "x"), {"expw": root}, follow_links=True)[0].is_clean


def test_an_annotation_file_to_which_a_link_leads_out_is_not_read(tmp_path: Path) -> None:
    root = expw(tmp_path / "expw", "a.jpg")
    (root / "label/label.lst").rename(tmp_path / "label.lst")
    (root / "label/label.lst").symlink_to(tmp_path / "label.lst")
    recipe = recipe_from({"databases": {"expw": {"incomplete": "accepted"}}}, "x")
    (found,) = check(recipe, {"expw": root})
    assert "'label/label.lst' is a symbolic link that leads out of the folder, and is not read; " in found.problem
    assert "--follow-links" in found.problem
    assert check(recipe, {"expw": root}, follow_links=True)[0].is_clean


def test_a_listing_of_many_pictures_is_not_kept_but_its_links_are(folder: Path) -> None:
    confined = ConfinedFolder(folder)
    names = confined.names()
    assert b"out.jpg" in names
    assert confined.links() == frozenset(name for name in map(os.fsdecode, names) if (folder / name).is_symlink())
    assert confined.names("nothing") == []
    assert confined.links("nothing") == frozenset()
