"""A build over an older dataset: it reads and writes what changed, and gives the bytes of a fresh build."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from affect_data.build import sources
from affect_data.build.build import BuildReport, build
from affect_data.build.databases import layout_of, read_databases, shard_jobs
from affect_data.build.recipe import recipe_from
from affect_data.build.reuse import NEW_DATABASE, NEW_ROWS, OTHER_LABELS, OTHER_LAYOUT, with_earlier
from affect_data.build.shards import CHANGED_FILES, OTHER_BYTES, pack_shard
from affect_data.databases.expw import ExpW
from affect_data.dataset.schema import IMAGES, LABELS

Digests = Callable[[Path], dict[str, str]]

_opened: list[tuple[Path, bool]] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str | Path):
        writes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)) if arguments[2] is not None else False
        _opened.append((Path(arguments[0]), writes))


sys.addaudithook(_note)


@contextmanager
def opened_files() -> Iterator[list[tuple[Path, bool]]]:
    """Every file that Python opens in the block, and whether it is for writing; the interpreter itself tells."""
    global _opened
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


@pytest.fixture
def roots(tmp_path: Path, make_expw: Callable[..., Path], demo_roots: dict[str, Path]) -> dict[str, Path]:
    shutil.copytree(demo_roots["disfa"], tmp_path / "sources/disfa")
    return {"expw": make_expw(tmp_path / "sources/expw", faces=10), "disfa": tmp_path / "sources/disfa"}


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the files had been there for a while when they were packed."""
    monkeypatch.setattr(sources, "SETTLED_AFTER", 0)


def built(roots: dict[str, Path], out: Path, databases: dict[str, Any] | None = None) -> BuildReport:
    time.sleep(0.02)
    recipe = recipe_from({"databases": databases or {name: {} for name in roots}, "shard_rows": 8}, "data.yaml")
    return build(recipe, roots, out, overwrite=True, accept_incomplete=True)


def pictures_among(opened: list[tuple[Path, bool]], roots: dict[str, Path]) -> list[Path]:
    """The pictures of the databases that were opened."""
    return [path for path, _ in opened if path.suffix in (".png", ".jpg") and path.is_relative_to(roots["expw"].parent)]


def inodes(out: Path, group: str) -> dict[int, int]:
    """Position in the split's group and inode of every shard."""
    return {path.stat().st_ino: number for number, path in enumerate(sorted((out / "train" / group).glob("*.arrow")))}


def relabel(root: Path) -> None:
    listed = root / "label" / "label.lst"
    listed.write_text(listed.read_text().replace("p000.png 0 1 2 12 13 20.5 0", "p000.png 0 1 2 12 13 20.5 5"))


def what_became_of(report: BuildReport) -> dict[str, tuple[tuple[int, int], tuple[int, int], tuple[str, ...]]]:
    """By database: shards of pictures kept and written, of labels kept and written, and why."""
    return {
        part.database: (
            (part.pictures_kept, part.pictures_written),
            (part.labels_kept, part.labels_written),
            part.because,
        )
        for part in report.parts
    }


# ---------------------------------------------------------------- the four cases


@pytest.mark.usefixtures("settled")
def test_what_did_not_change_is_neither_read_nor_written(roots: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "merged"
    built(roots, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with opened_files() as opened:
        assert built(roots, out).unchanged
    assert pictures_among(opened, roots) == []
    assert [path for path, writes in opened if writes and path.is_relative_to(out)] == []
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.usefixtures("settled")
def test_another_line_of_one_annotation_file_writes_only_the_labels_of_its_rows(
    roots: dict[str, Path], tmp_path: Path, digests: Digests
) -> None:
    out = tmp_path / "merged"
    built(roots, out)
    pictures, labels = inodes(out, IMAGES), inodes(out, LABELS)
    relabel(roots["expw"])
    with opened_files() as opened:
        report = built(roots, out)
    assert pictures_among(opened, roots) == []
    assert inodes(out, IMAGES) == pictures
    assert len(labels.keys() - inodes(out, LABELS).keys()) == 1
    shards = len(pictures) - 2
    assert what_became_of(report) == {
        "disfa": ((shards, 0), (shards, 0), ()),
        "expw": ((2, 0), (1, 1), (OTHER_LABELS,)),
    }
    built(roots, tmp_path / "fresh")
    assert digests(out) == digests(tmp_path / "fresh")


@pytest.mark.usefixtures("settled")
def test_an_added_database_writes_its_own_pictures_only(
    roots: dict[str, Path], tmp_path: Path, digests: Digests
) -> None:
    out = tmp_path / "merged"
    alone = {"expw": roots["expw"]}
    built(alone, out)
    pictures = inodes(out, IMAGES)
    with opened_files() as opened:
        report = built(roots, out)
    assert {path.relative_to(tmp_path / "sources").parts[0] for path in pictures_among(opened, roots)} == {"disfa"}
    # ExpW's shards follow those of DISFA, under other names.
    assert set(pictures) < set(inodes(out, IMAGES))
    disfa = len(inodes(out, IMAGES)) - 2
    assert what_became_of(report) == {
        "disfa": ((0, disfa), (0, disfa), (NEW_DATABASE,)),
        "expw": ((2, 0), (0, 2), (OTHER_LAYOUT,)),
    }
    built(roots, tmp_path / "fresh")
    assert digests(out) == digests(tmp_path / "fresh")


@pytest.mark.usefixtures("settled")
def test_another_threshold_writes_labels_only(roots: dict[str, Path], tmp_path: Path, digests: Digests) -> None:
    out, other = tmp_path / "merged", {"expw": {}, "disfa": {"action_unit_threshold": 1}}
    built(roots, out)
    pictures = inodes(out, IMAGES)
    with opened_files() as opened:
        report = built(roots, out, other)
    assert pictures_among(opened, roots) == []
    assert inodes(out, IMAGES) == pictures
    became = what_became_of(report)
    assert became["expw"] == ((2, 0), (2, 0), ())
    assert became["disfa"][0] == (len(pictures) - 2, 0)
    assert became["disfa"][2] == (OTHER_LABELS,)
    built(roots, tmp_path / "fresh", other)
    assert digests(out) == digests(tmp_path / "fresh")


# ---------------------------------------------------------------- what must be seen


@pytest.mark.usefixtures("settled")
def test_another_picture_writes_its_shard_again_and_no_other(
    roots: dict[str, Path], tmp_path: Path, digests: Digests
) -> None:
    out = tmp_path / "merged"
    built(roots, out)
    pictures = inodes(out, IMAGES)
    changed = roots["expw"] / "image/origin/p009.png"
    shutil.copy(roots["expw"] / "image/origin/p001.png", changed)
    with opened_files() as opened:
        report = built(roots, out)
    assert {path.name for path in pictures_among(opened, roots)} == {"p008.png", "p009.png"}
    assert len(pictures.keys() - inodes(out, IMAGES).keys()) == 1
    assert what_became_of(report)["expw"] == ((1, 1), (1, 1), (OTHER_BYTES,))
    built(roots, tmp_path / "fresh")
    assert digests(out) == digests(tmp_path / "fresh")


@pytest.mark.usefixtures("settled")
def test_bytes_that_change_behind_an_old_time_and_an_old_size_are_seen(roots: dict[str, Path], tmp_path: Path) -> None:
    built(roots, tmp_path / "merged")
    picture = roots["expw"] / "image/origin/p003.png"
    status, data = picture.stat(), bytearray(picture.read_bytes())
    data[-1] ^= 1
    picture.write_bytes(data)
    os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (picture.stat().st_size, picture.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert not built(roots, tmp_path / "merged").unchanged


def test_files_that_are_newer_than_a_tick_are_read_again_because_they_may_have_changed_within_it(
    roots: dict[str, Path], tmp_path: Path
) -> None:
    built(roots, tmp_path / "merged")
    with opened_files() as opened:
        assert built(roots, tmp_path / "merged").unchanged
    assert len({*pictures_among(opened, {"expw": roots["expw"]})} & {*(roots["expw"] / "image/origin").iterdir()}) == 10


def test_a_later_build_remembers_files_that_were_too_new_for_the_first(
    roots: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(roots, tmp_path / "merged")
    monkeypatch.setattr(sources, "SETTLED_AFTER", 0)
    assert built(roots, tmp_path / "merged").unchanged
    with opened_files() as opened:
        assert built(roots, tmp_path / "merged").unchanged
    assert pictures_among(opened, roots) == []


def test_a_mark_changes_with_each_of_size_times_and_file(tmp_path: Path) -> None:
    now = time.time_ns() + 10**9
    (tmp_path / "a.png").write_bytes(b"abc")
    os.utime(tmp_path / "a.png", ns=(0, 10**18))
    source = sources.PictureSource(ExpW(), tmp_path, now)
    marks = [source.mark("a.png")]
    os.utime(tmp_path / "a.png", ns=(0, 10**18 + 1))
    marks.append(source.mark("a.png"))
    (tmp_path / "a.png").write_bytes(b"abcd")
    os.utime(tmp_path / "a.png", ns=(0, 10**18))
    marks.append(source.mark("a.png"))
    (tmp_path / "b.png").write_bytes(b"abcd")
    os.utime(tmp_path / "b.png", ns=(0, 10**18))
    marks.append(source.mark("b.png"))
    assert len(set(marks)) == 4
    assert sources.UNKNOWN not in marks
    assert sources.PictureSource(ExpW(), tmp_path, now - 3600 * 10**9).mark("a.png") == sources.UNKNOWN
    assert source.mark("none.png") == sources.UNKNOWN


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("harm", ["cut", "lost", "other"])
def test_a_shard_that_something_changed_is_not_taken_over(
    roots: dict[str, Path], tmp_path: Path, digests: Digests, harm: str
) -> None:
    out = tmp_path / "merged"
    built(roots, out)
    shard = max((out / "train" / IMAGES).glob("*.arrow"))
    if harm == "cut":
        shard.write_bytes(shard.read_bytes()[:-8])
    elif harm == "lost":
        shard.unlink()
    else:
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
    relabel(roots["expw"])
    report = built(roots, out)
    assert what_became_of(report)["expw"][2] == (OTHER_LABELS, CHANGED_FILES)
    built(roots, tmp_path / "fresh")
    assert digests(out) == digests(tmp_path / "fresh")


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("spoil", ["{", ""])
def test_a_memory_that_cannot_be_read_costs_time_only(
    roots: dict[str, Path], tmp_path: Path, digests: Digests, spoil: str
) -> None:
    out = tmp_path / "merged"
    built(roots, out)
    for path in (out / ".seen/train").iterdir():
        path.write_text(spoil)
    relabel(roots["expw"])
    assert what_became_of(built(roots, out))["expw"] == ((0, 2), (0, 2), (NEW_ROWS,))
    built(roots, tmp_path / "fresh")
    assert digests(out) == digests(tmp_path / "fresh")


@pytest.mark.usefixtures("settled")
def test_a_line_that_is_gone_writes_the_pictures_behind_it_again(
    roots: dict[str, Path], tmp_path: Path, digests: Digests
) -> None:
    out = tmp_path / "merged"
    built(roots, out)
    listed = roots["expw"] / "label/label.lst"
    listed.write_text("".join(line for line in listed.read_text().splitlines(keepends=True) if "p009" not in line))
    assert what_became_of(built(roots, out))["expw"] == ((1, 1), (1, 1), (NEW_ROWS,))
    built(roots, tmp_path / "fresh")
    assert digests(out) == digests(tmp_path / "fresh")


@pytest.mark.usefixtures("settled")
def test_a_shard_that_was_linked_before_a_kill_is_linked_again_without_a_leftover(
    roots: dict[str, Path], tmp_path: Path
) -> None:
    report = built({"expw": roots["expw"]}, tmp_path / "merged")
    recipe = recipe_from({"databases": {"expw": {}}, "shard_rows": 8}, "data.yaml")
    read = read_databases(recipe, roots, lambda *_: None)
    job = with_earlier(shard_jobs(recipe, read, layout_of(read), tmp_path / "staging"), report.dataset)[0]
    first = pack_shard(job)
    assert (first.pictures_kept, first.labels_kept) == (True, True)
    job.record_path().unlink()
    assert pack_shard(job) == first
    folder = job.path(IMAGES).parent
    assert [path.name for path in folder.iterdir()] == [job.path(IMAGES).name]
    assert job.path(IMAGES).samefile(report.dataset.path / "train" / IMAGES / job.path(IMAGES).name)


@pytest.mark.usefixtures("settled")
def test_a_table_says_what_was_kept_and_why_the_rest_was_written(
    roots: dict[str, Path], tmp_path: Path, affect_data: Callable[..., Any]
) -> None:
    recipe = tmp_path / "data.yaml"
    recipe.write_text("databases: {expw: {}}\nshard_rows: 8\n")
    command = ("build", recipe, tmp_path / "merged", "--root", f"expw={roots['expw']}", "--overwrite")
    first = affect_data(*command)
    assert first.returncode == 0
    assert "pictures kept" not in first.stdout
    relabel(roots["expw"])
    time.sleep(0.02)
    said = affect_data(*command).stdout
    line = next(line for line in said.splitlines() if line.split()[:1] == ["expw"] and OTHER_LABELS in line)
    assert line.split() == ["expw", "2", "0", "1", "1", *OTHER_LABELS.split()]
