"""Roots that are nearly right: the message says what lies there, and the option to type."""

import re
import shutil
from pathlib import Path

import pytest

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.recognition import holdings, looks_like, remedy
from affect_data.databases.registry import DATABASES
from affect_data.databases.root import DatabaseRoot
from affect_data.demo.world import SHARES
from affect_data.errors import DatabaseNotFoundError


def place(demo_roots: dict[str, Path], name: str, target: Path) -> Path:
    """A link to the drawn folder of a database at another place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(demo_roots[name], target_is_directory=True)
    return target


@pytest.mark.parametrize("name", sorted(SHARES))
@pytest.mark.parametrize("levels", [1, 2])
def test_one_folder_or_two_too_few_of_the_path_are_found_below_it(
    demo_roots: dict[str, Path], tmp_path: Path, name: str, levels: int
) -> None:
    inner = place(demo_roots, name, tmp_path / "data" / Path(*["unpacked"] * (levels - 1)) / "official")
    said = remedy(name, tmp_path / "data", {})
    assert said.startswith(f"The folder '{inner}' below it looks like ")
    assert said.endswith(f": --root {name}={inner}")


def test_a_folder_too_many_in_the_path_is_found_above_it(demo_roots: dict[str, Path]) -> None:
    said = remedy("expw", demo_roots["expw"] / "image", {})
    assert said.endswith(f"above it looks like ExpW (expw): --root expw={demo_roots['expw']}")


@pytest.mark.parametrize(("typed", "there"), [("disfa", "DISFA"), ("Aff-Wild2", "AffWild2"), ("disfa", "DISFA_")])
def test_another_spelling_of_the_folder_is_named(tmp_path: Path, typed: str, there: str) -> None:
    (tmp_path / there).mkdir()
    name = "disfa" if typed == "disfa" else "affwild2"
    assert remedy(name, tmp_path / typed, {}) == f"There is '{tmp_path / there}': --root {name}={tmp_path / there}"


def test_an_archive_that_is_not_unpacked_is_named(tmp_path: Path) -> None:
    (tmp_path / "ActionUnit_Labels.zip").write_bytes(b"PK")
    assert remedy("disfa", tmp_path, {}) == (
        "It holds archives that are not unpacked (ActionUnit_Labels.zip): unpack them there."
    )
    assert remedy("disfa", tmp_path / "ActionUnit_Labels.zip", {}) == (
        "'ActionUnit_Labels.zip' is an archive: unpack it, and name the folder."
    )


def test_swapped_roots_are_named_with_both_options(demo_roots: dict[str, Path], tmp_path: Path) -> None:
    recipe = recipe_from({"databases": {"expw": {}, "disfa": {}}}, "x")
    swapped = {"expw": demo_roots["disfa"], "disfa": demo_roots["expw"]}
    with pytest.raises(Exception, match=r"the two roots are swapped: ") as refused:
        build(recipe, swapped, tmp_path / "merged")
    assert f"--root expw={demo_roots['expw']} --root disfa={demo_roots['disfa']}" in str(refused.value)
    assert "Expected layout" not in str(refused.value), "a layout of forty lines would not help"


def test_another_database_is_named_with_its_option(demo_roots: dict[str, Path]) -> None:
    root = demo_roots["afew_va"]
    assert remedy("expw", root, {}) == f"It looks like AFEW-VA (afew_va), which --root afew_va={root} would read."


def test_a_root_that_another_database_was_given_is_named(demo_roots: dict[str, Path], tmp_path: Path) -> None:
    said = remedy("expw", tmp_path / "none", {"afew_va": demo_roots["expw"]})
    assert (
        said == f"The root of afew_va, '{demo_roots['expw']}', looks like ExpW (expw): --root expw={demo_roots['expw']}"
    )


def test_where_nothing_is_near_the_message_says_what_is_there_and_shows_the_layout(tmp_path: Path) -> None:
    (tmp_path / "holidays").mkdir()
    assert remedy("expw", tmp_path, {}) == ""
    assert holdings(tmp_path / "none") == f"'{tmp_path}' holds holidays."
    with pytest.raises(DatabaseNotFoundError, match=r"holds holidays\.\nExpected layout:\n +image/origin"):
        build(recipe_from({"databases": {"expw": {}}}, "x"), {"expw": tmp_path}, tmp_path / "merged")


def test_a_folder_that_lost_all_but_its_labels_is_still_its_own(demo_roots: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(demo_roots["disfa"] / "ActionUnit_Labels", tmp_path / "ActionUnit_Labels")
    assert looks_like("disfa", tmp_path)
    assert remedy("disfa", tmp_path, {}) == ""


@pytest.mark.parametrize(
    ("name", "file", "other"),
    [
        ("disfa", "Labels/SN001/A1_TrailNo_1/AU1.txt", "DISFA+"),
        ("disfa", "ActionUnit_Labels/SN001/A1_TrailNo_1/AU1.txt", "DISFA+"),
        ("disfa", "PV001.output/00000001.auw", "FEAFA+"),
        ("bp4d", "AUCoding/AU_OCC/F082_T1.csv", "BP4D+"),
        ("raf_au", "RAFCE_AUlabel.txt", "RAF-CE"),
        ("raf_db", "label/RAFCE_emolabel.txt", "RAF-CE"),
        ("ferplus", "train/angry/1.png", "FER2013 in class folders"),
    ],
)
def test_a_database_that_looks_alike_is_one_sentence(tmp_path: Path, name: str, file: str, other: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(DatabaseNotFoundError, match=f"it holds {re.escape(other)}"):
        DATABASES[name]().read(DatabaseRoot(tmp_path))


def test_a_database_that_lies_beside_the_other_is_read(demo_roots: dict[str, Path], tmp_path: Path) -> None:
    for entry in demo_roots["disfa"].iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "Labels" / "SN001" / "A1").mkdir(parents=True)
    (tmp_path / "Labels" / "SN001" / "A1" / "AU1.txt").touch()
    scan = DATABASES["disfa"]().read(DatabaseRoot(tmp_path, follow_links=True))
    assert len(scan.rows)
