"""A dataset is rebuilt from what was published of it, to the same bytes; and where a source differs, it is said what differs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from loopback_hub import LoopbackHub

from affect_data.balance.registry import make_plan
from affect_data.balance.weighing import balance
from affect_data.build.build import build
from affect_data.build.existing import OutputTakenError
from affect_data.build.recipe import recipe_from
from affect_data.databases.base import Tier
from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.folds import FOLDS
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.errors import DatabaseNotFoundError, DataError, UsageError
from affect_data.hub.client import HubError
from affect_data.hub.differences import DifferencesError, find_differences
from affect_data.hub.publish import plan, publish
from affect_data.hub.published_lock import published_lock
from affect_data.hub.rebuild import RebuildReport, published_recipe, rebuild
from affect_data.hub.repository import open_repository

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

Digests = Callable[[Path], dict[str, str]]
Run = Callable[..., CompletedProcess[str]]
ADDRESS = "hf://anna/faces"


def put(dataset: Path, tier: Tier = Tier.RECIPE) -> None:
    publish(plan(dataset, "anna/faces", tier))


def again(out: Path, root: Path, *, allow_differences: bool = False) -> RebuildReport:
    repository = open_repository(ADDRESS)
    recipe = published_recipe(repository)
    return rebuild(repository, recipe, {"expw": root}, out, allow_differences=allow_differences)


@pytest.fixture
def other_root(faces_root: Path, tmp_path: Path) -> Path:
    """The database on another machine, where it may be changed."""
    return Path(shutil.copytree(faces_root, tmp_path / "elsewhere"))


def change_label(root: Path, line: int, code: int) -> None:
    lines = (root / "label" / "label.lst").read_text().splitlines()
    lines[line - 1] = f"{lines[line - 1].rpartition(' ')[0]} {code}"
    (root / "label" / "label.lst").write_text("\n".join(lines) + "\n")


def test_the_recipe_gives_the_same_bytes(
    hub: LoopbackHub, built_faces: Path, other_root: Path, tmp_path: Path, digests: Digests
) -> None:
    put(built_faces)
    report = again(tmp_path / "again", other_root)
    assert (report.differences, report.attached, report.lost) == ((), (), {})
    made, before = digests(tmp_path / "again"), digests(built_faces)
    assert {path: digest for path, digest in before.items() if path in made and path != "dataset.json"} == {
        path: digest for path, digest in made.items() if path != "dataset.json"
    }
    assert not {path for path in before if path not in made and "soft." not in path and "folds." not in path}


def test_what_was_made_is_attached_again(hub: LoopbackHub, built_faces: Path, other_root: Path, tmp_path: Path) -> None:
    put(built_faces, Tier.DERIVED)
    report = again(tmp_path / "again", other_root)
    assert report.attached == ("soft.teacher", "folds.cv")
    before, after = open_dataset(built_faces), open_dataset(tmp_path / "again")
    for split in before.splits:
        for group in report.attached:
            assert after.load(split, [group]).data.table.equals(before.load(split, [group]).data.table)
    assert SOFT_LABELS.read(after, "teacher") == SOFT_LABELS.read(before, "teacher")
    assert FOLDS.read(after, "cv") == FOLDS.read(before, "cv")


def test_weights_are_attached_again(hub: LoopbackHub, faces: Path, other_root: Path, tmp_path: Path) -> None:
    balance(faces, make_plan("deng2020_expression"), "even")
    put(faces, Tier.DERIVED)
    report = again(tmp_path / "again", other_root)
    assert "balance.even" in report.attached
    before, after = (
        open_dataset(path).load("train", ["balance.even"]).data.table for path in (faces, tmp_path / "again")
    )
    assert after.equals(before)


def test_another_release_and_another_reader_are_differences(built_faces: Path) -> None:
    published = published_lock(open_dataset(built_faces))
    built = json.loads(json.dumps(published))
    built["databases"]["expw"] |= {"release": "2020", "reader_version": 9}
    known = published["databases"]["expw"]["reader_version"]
    assert [str(difference) for difference in find_differences(published, built)] == [
        "database expw: release 2018, here 2020",
        f"database expw: reader version {known}, here 9",
    ]


def test_a_changed_label_is_found_by_file_shard_and_rows(
    hub: LoopbackHub, built_faces: Path, other_root: Path, tmp_path: Path
) -> None:
    put(built_faces, Tier.DERIVED)
    change_label(other_root, 3, code=6)
    lines = open_dataset(built_faces).labels("train", ["source_line"])["source_line"].to_list()
    split, row = ("train", lines.index(3)) if 3 in lines else ("validation", -1)
    assert split == "train"
    with pytest.raises(DifferencesError) as error:
        again(tmp_path / "again", other_root)
    first = 8 * (row // 8)
    last = min(first + 7, len(lines) - 1)
    assert [str(difference) for difference in error.value.differences] == [
        "file expw/label/label.lst: has another content",
        f"shard train expw {row // 8} (rows {first} to {last}): other labels",
    ]
    assert not (tmp_path / "again").exists()
    report = again(tmp_path / "again", other_root, allow_differences=True)
    assert len(report.differences) == 2
    # Soft labels are made from pictures, and folds from people: a label changes neither.
    assert report.attached == ("soft.teacher", "folds.cv")
    assert not list(tmp_path.glob(".*"))


def test_a_picture_that_is_gone_loses_what_depends_on_who_is_there(
    hub: LoopbackHub, built_faces: Path, other_root: Path, tmp_path: Path
) -> None:
    put(built_faces, Tier.DERIVED)
    (other_root / "image" / "origin" / "p001.png").unlink()
    with pytest.raises(DifferencesError, match=r"expw: without a row \(image file missing\): 0, here 1"):
        again(tmp_path / "again", other_root)
    report = again(tmp_path / "again", other_root, allow_differences=True)
    kinds = {difference.kind for difference in report.differences}
    assert kinds == {"rows", "shard"}
    assert report.attached == ("soft.teacher",)
    assert report.lost == {"folds.cv": "made from other people"}
    before, after = open_dataset(built_faces), open_dataset(tmp_path / "again")
    for split in after.splits:
        old = dict(
            zip(
                before.labels(split, ["uid"])["uid"],
                before.load(split, ["soft.teacher"])["soft.teacher.expression"],
                strict=True,
            )
        )
        new = dict(
            zip(
                after.labels(split, ["uid"])["uid"],
                after.load(split, ["soft.teacher"])["soft.teacher.expression"],
                strict=True,
            )
        )
        assert {uid: old[uid] for uid in new} == new


def test_another_picture_takes_no_soft_label(
    hub: LoopbackHub, built_faces: Path, other_root: Path, tmp_path: Path
) -> None:
    put(built_faces, Tier.DERIVED)
    pictures = other_root / "image" / "origin"
    shutil.copyfile(pictures / "p005.png", pictures / "p001.png")
    report = again(tmp_path / "again", other_root, allow_differences=True)
    place = (
        "validation"
        if "expw:p001.png" in " ".join(open_dataset(built_faces).labels("validation", ["uid"])["uid"])
        else "train"
    )
    rows = open_dataset(built_faces).rows(place)
    assert report.lost["soft.teacher"] == f"1 of {rows} {place} rows have another picture, or were not part of it"
    assert any(difference.what.startswith("other images") for difference in report.differences)


def test_a_database_that_is_not_there_is_left_out_where_that_is_allowed(
    hub: LoopbackHub, demo_roots: dict[str, Path], faces_root: Path, tmp_path: Path
) -> None:
    recipe = recipe_from({"databases": {"expw": {}, "disfa": {}}}, "two")
    roots = {"expw": faces_root, "disfa": demo_roots["disfa"]}
    put(build(recipe, roots, tmp_path / "two").dataset.path)
    with pytest.raises(DatabaseNotFoundError, match="disfa"):
        again(tmp_path / "again", faces_root)
    report = again(tmp_path / "again", faces_root, allow_differences=True)
    assert report.without == ("disfa",)
    assert str(report.differences[0]) == "database disfa: is not there"
    assert open_dataset(tmp_path / "again").manifest.databases == ["expw"]


def test_none_of_the_databases_is_an_error(hub: LoopbackHub, built_faces: Path, tmp_path: Path) -> None:
    put(built_faces)
    with pytest.raises(DataError, match="none of the databases is there: expw"):
        again(tmp_path / "again", tmp_path / "nowhere", allow_differences=True)


def test_another_dataset_at_the_place_is_not_touched(
    hub: LoopbackHub, built_faces: Path, faces_root: Path, other_root: Path, tmp_path: Path, digests: Digests
) -> None:
    put(built_faces)
    again(tmp_path / "again", other_root)
    assert again(tmp_path / "again", other_root).differences == ()
    change_label(other_root, 3, code=6)
    other = build(recipe_from({"databases": {"expw": {}}}, "x"), {"expw": other_root}, tmp_path / "other").dataset.path
    before = digests(other)
    with pytest.raises(OutputTakenError, match="holds another dataset"):
        again(other, faces_root)
    assert digests(other) == before


def test_the_command_reads_a_folder_too_and_says_what_is_proven(
    hub: LoopbackHub, built_faces: Path, faces_root: Path, tmp_path: Path, affect_data: Run
) -> None:
    staged = plan(built_faces, "anna/faces", Tier.DERIVED).staged.folder
    folder = shutil.copytree(staged, tmp_path / "downloaded")
    ran = affect_data("rebuild", folder, tmp_path / "again", "--root", f"expw={faces_root}")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "the same bytes as" in ran.stdout
    assert "attached again: soft.teacher, folds.cv" in ran.stdout
    ran = affect_data("rebuild", folder, tmp_path / "again", "--root", f"expw={faces_root}", "--json")
    assert json.loads(ran.stdout)["proven"] is True


def test_what_is_no_repository_is_named(hub: LoopbackHub, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="there is no such repository, or your token may not see it"):
        open_repository("hf://anna/nothing")
    with pytest.raises(UsageError, match="is neither a folder nor a repository"):
        open_repository("nothing")
    with pytest.raises(DataError, match=r"has no recipe\.yaml"):
        published_recipe(open_repository(str(tmp_path)))
