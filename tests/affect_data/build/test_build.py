"""Builds: every row accounted for, bytes as found, resumed after any kill to the same bytes, and nothing half-written."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from python_processes import run_python

from affect_data import load_dataset
from affect_data.build.build import BuildReport, OutputTakenError, build
from affect_data.build.databases import SeveralProblemsError, digest_files
from affect_data.build.jobs import FAILURE_COLUMNS
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.databases.base import SPLITS
from affect_data.databases.registry import DATABASES
from affect_data.dataset.folder import ForeignVersionError, open_dataset
from affect_data.dataset.schema import IMAGES, LABELS
from affect_data.dataset.writing import add_group
from affect_data.demo.world import SHARES
from affect_data.errors import DatabaseNotFoundError, DataError, DefectsFoundError, NotADatasetError
from affect_data.files import exclusive

Digests = Callable[[Path], dict[str, str]]


def expw_recipe(**more: object) -> DataRecipe:
    return recipe_from({"databases": {"expw": more.pop("expw", {})}, "shard_rows": 4, **more}, "data.yaml")


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.fixture
def expw(tmp_path: Path, make_expw: Callable[..., Path]) -> Path:
    """Ten faces, three shards."""
    return make_expw(tmp_path / "expw")


# ---------------------------------------------------------------- the demo world


def test_every_line_of_every_database_is_a_row_or_a_failure(demo_report: BuildReport) -> None:
    assert set(demo_report.databases) == set(SHARES)
    for name, found in demo_report.databases.items():
        assert found.lines == found.rows - found.rows_in_two_splits + sum(found.failures.values()), name
        assert found.rows > 0
    assert sum(found.rows for found in demo_report.databases.values()) == sum(
        demo_report.dataset.manifest.rows.values()
    )


def test_failures_have_a_place_and_a_reason_and_are_as_many_as_reported(demo_report: BuildReport) -> None:
    failures = demo_report.dataset.failures()
    assert failures.columns == list(FAILURE_COLUMNS)
    assert len(failures) == sum(sum(found.failures.values()) for found in demo_report.databases.values()) > 0
    assert failures.select(pl.col("source_line").min()).item() >= 1
    assert (failures["source_file"].str.len_bytes() > 0).all()
    assert (failures["reason"].str.len_bytes() > 0).all()


def test_the_truncated_and_the_missing_picture_of_the_demo_are_quarantined(demo_report: BuildReport) -> None:
    failures = demo_report.dataset.failures()
    truncated = failures.filter(reason="image cannot be decoded")
    assert truncated["database"].to_list() == ["affectnet"]
    assert "truncated" in truncated["detail"][0]
    assert failures.filter(database="expw")["reason"].to_list() == ["image file missing"]


def test_the_bytes_of_every_image_are_those_of_its_file(demo_report: BuildReport, demo_world: Path) -> None:
    for split in demo_report.dataset.splits:
        joined = load_dataset(demo_report.dataset.path, split).select_columns(["image", "image_digest"])
        for row in joined.data.table.to_pylist():
            data = (demo_world / row["image"]["path"]).read_bytes()
            assert row["image"]["bytes"] == data
            assert bytes(row["image_digest"]) == hashlib.sha256(data).digest()


def test_no_artefact_holds_the_path_of_a_folder_of_this_machine(demo_report: BuildReport, demo_world: Path) -> None:
    machine = [str(path).encode() for path in (demo_world, demo_report.dataset.path, Path.cwd(), Path.home())]
    secrets = [name for name in machine if len(name) > 2]
    for path in demo_report.dataset.path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [secret for secret in secrets if secret in data], path


def test_a_folder_holds_the_dataset_and_nothing_else(demo_report: BuildReport) -> None:
    path = demo_report.dataset.path
    assert sorted(entry.name for entry in path.iterdir()) == [
        ".seen",
        "dataset.json",
        "dataset.lock.json",
        "failures.parquet",
        "origins",
        "train",
        "validation",
    ]
    assert sorted(entry.name for entry in (path / "origins").iterdir()) == sorted(SHARES)
    groups = [group for group in path.glob("*/*") if group.parent.name != ".seen"]
    names = {re.sub(r"\d{5}", "N", file.name) for group in groups for file in group.iterdir()}
    assert names == {"data-N-of-N.arrow", "dataset_info.json", "state.json"}
    assert (hidden(path), hidden(path.parent)) == ([".seen"], [])


def test_the_lock_says_what_the_dataset_was_made_from(
    demo_report: BuildReport, demo_world: Path, demo_recipe: DataRecipe
) -> None:
    lock = json.loads((demo_report.dataset.path / "dataset.lock.json").read_text())
    assert lock["recipe"] == demo_recipe.content()
    assert lock["fingerprint"] == demo_report.dataset.fingerprint
    assert lock["rows"] == demo_report.dataset.manifest.rows
    assert sum(shard["rows"] for shard in lock["shards"]) == sum(lock["rows"].values())
    for name in ("expw", "affectnet"):
        for path, digest in lock["databases"][name]["annotation_files"].items():
            assert hashlib.sha256((demo_world / name / path).read_bytes()).hexdigest() == digest


def test_a_folder_of_many_annotation_files_has_one_digest_that_sees_every_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    paths = [f"a/{index:05d}.txt" for index in range(3000)]
    for path in paths:
        (tmp_path / path).write_text(path)
    before = digest_files(tmp_path, paths)
    assert list(before) == ["a/*"]
    (tmp_path / paths[1234]).write_text("other")
    assert digest_files(tmp_path, paths) != before


# ---------------------------------------------------------------- the same bytes


def test_two_workers_give_the_same_bytes_as_one(
    demo_roots: dict[str, Path], demo_recipe: DataRecipe, demo_report: BuildReport, tmp_path: Path, digests: Digests
) -> None:
    report = build(demo_recipe.model_copy(update={"workers": 2}), demo_roots, tmp_path / "merged")
    assert digests(report.dataset.path) == digests(demo_report.dataset.path)
    assert (report.unchanged, report.shards_reused) == (False, 0)


def test_the_bytes_of_a_shard_do_not_depend_on_the_rows_after_it(
    expw: Path, tmp_path: Path, make_expw: Callable[..., Path]
) -> None:
    more = make_expw(tmp_path / "more", faces=30)
    shards = []
    for name, root in (("few", expw), ("many", more)):
        build(expw_recipe(shard_rows=5), {"expw": root}, tmp_path / name)
        shards.append(min((tmp_path / name / "train" / LABELS).glob("*.arrow")).read_bytes())
    assert shards[0] == shards[1]


def test_another_place_of_the_same_database_gives_the_same_bytes(expw: Path, tmp_path: Path, digests: Digests) -> None:
    first = build(expw_recipe(), {"expw": expw}, tmp_path / "one")
    moved = expw.rename(tmp_path / "other place")
    second = build(expw_recipe(), {"expw": moved}, tmp_path / "deep" / "two")
    assert digests(first.dataset.path) == digests(second.dataset.path)


def test_a_second_run_writes_nothing(expw: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    first = build(expw_recipe(), {"expw": expw}, out)
    # Not `.seen`: there a build may note that a file is no longer new.
    parts = [out, *(path for path in out.rglob("*") if ".seen" not in path.parts)]
    times = {path: path.stat().st_mtime_ns for path in parts}
    second = build(expw_recipe(), {"expw": expw}, out)
    assert {path: path.stat().st_mtime_ns for path in parts} == times
    assert hidden(tmp_path) == []
    assert (second.unchanged, second.shards, second.shards_reused) == (True, 3, 3)
    assert second.databases == first.databases


def test_a_second_run_with_overwrite_writes_nothing_either_and_keeps_soft_labels(expw: Path, tmp_path: Path) -> None:
    from datasets import Features, Value

    out = tmp_path / "merged"
    dataset = build(expw_recipe(), {"expw": expw}, out).dataset
    tables = [(split, pl.DataFrame({"x": [0] * dataset.rows(split)}).to_arrow()) for split in dataset.splits]
    add_group(dataset, "soft.x", tables, Features({"x": Value("int64")}), {"a": 1})
    report = build(expw_recipe(), {"expw": expw}, out, overwrite=True)
    assert report.unchanged
    assert report.dataset.groups("train") == (IMAGES, LABELS, "soft.x")


def relabel(expw: Path) -> None:
    listed = expw / "label" / "label.lst"
    listed.write_text(listed.read_text().replace("p000.png 0 1 2 12 13 20.5 0", "p000.png 0 1 2 12 13 20.5 5"))


def recolour(expw: Path) -> None:
    Image.new("RGB", (16, 16), (1, 1, 1)).save(expw / "image" / "origin" / "p005.png")


def list_a_missing_picture(expw: Path) -> None:
    with (expw / "label" / "label.lst").open("a") as listed:
        listed.write("gone.png 0 1 2 12 13 20.5 0\n")


@pytest.mark.parametrize("change", [relabel, recolour, list_a_missing_picture])
def test_a_change_in_the_files_is_seen_and_replaces_nothing_unasked(
    expw: Path, tmp_path: Path, digests: Digests, change: Callable[[Path], None]
) -> None:
    out = tmp_path / "merged"
    build(expw_recipe(), {"expw": expw}, out, accept_incomplete=True)
    before = digests(out)
    change(expw)
    with pytest.raises(
        OutputTakenError,
        match=r"merged' holds another dataset \(.+\)\. Choose another folder, or pass --overwrite to replace it",
    ):
        build(expw_recipe(), {"expw": expw}, out, accept_incomplete=True)
    assert digests(out) == before
    report = build(expw_recipe(), {"expw": expw}, out, accept_incomplete=True, overwrite=True)
    assert not report.unchanged
    found = report.databases["expw"]
    assert found.lines == found.rows + sum(found.failures.values())
    build(expw_recipe(), {"expw": expw}, tmp_path / "fresh", accept_incomplete=True)
    assert digests(out) == digests(tmp_path / "fresh")
    assert digests(out) != before
    assert hidden(tmp_path) == []


def test_a_dataset_that_lost_a_file_is_not_taken_for_built(expw: Path, tmp_path: Path, digests: Digests) -> None:
    out = tmp_path / "merged"
    build(expw_recipe(), {"expw": expw}, out)
    before = digests(out)
    next((out / "train" / IMAGES).glob("*.arrow")).unlink()
    with pytest.raises(OutputTakenError, match="--overwrite"):
        build(expw_recipe(), {"expw": expw}, out)
    build(expw_recipe(), {"expw": expw}, out, overwrite=True)
    assert digests(out) == before


def test_a_refusal_names_the_column_groups_of_the_dataset_that_is_there(expw: Path, tmp_path: Path) -> None:
    from datasets import Features, Value

    dataset = build(expw_recipe(), {"expw": expw}, tmp_path / "merged").dataset
    tables = [(split, pl.DataFrame({"x": [0] * dataset.rows(split)}).to_arrow()) for split in dataset.splits]
    add_group(dataset, "soft.anna", tables, Features({"x": Value("int64")}), {})
    relabel(expw)
    with pytest.raises(OutputTakenError, match=r"its column groups soft\.anna stay where they still fit"):
        build(expw_recipe(), {"expw": expw}, tmp_path / "merged")


# ---------------------------------------------------------------- what must not be replaced


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_dataset_is_never_replaced(expw: Path, tmp_path: Path, kind: str, overwrite: bool) -> None:
    out = tmp_path / "thesis"
    if kind == "file":
        out.write_text("chapter 1")
    else:
        out.mkdir()
        (out / "chapter.txt").write_text("chapter 1")
    with pytest.raises(
        OutputTakenError, match=r"thesis' exists and is no affectkit dataset\. Choose a folder that is new or empty"
    ):
        build(expw_recipe(), {"expw": expw}, out, overwrite=overwrite)
    assert (out if kind == "file" else out / "chapter.txt").read_text() == "chapter 1"


@pytest.mark.parametrize("text", ["{", '{"format": "other"}'])
def test_a_dataset_that_cannot_be_read_is_not_replaced_and_the_remedy_is_no_circle(
    expw: Path, tmp_path: Path, text: str
) -> None:
    out = tmp_path / "merged"
    build(expw_recipe(), {"expw": expw}, out)
    (out / "dataset.json").write_text(text)
    with pytest.raises(
        OutputTakenError, match=r"holds a dataset that cannot be read: .*\. Remove the folder, or choose another$"
    ):
        build(expw_recipe(), {"expw": expw}, out, overwrite=True)


@pytest.mark.parametrize(
    ("version", "remedy"), [(1, "Upgrade it with `affect-data upgrade "), (99, "Update affectkit")]
)
def test_a_dataset_of_another_version_is_not_replaced(expw: Path, tmp_path: Path, version: int, remedy: str) -> None:
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged/dataset.json").write_text(f'{{"format": "affectkit-dataset", "format_version": {version}}}')
    with pytest.raises(ForeignVersionError, match=rf"has dataset format {version}, this affectkit reads 2\. {remedy}"):
        build(expw_recipe(), {"expw": expw}, tmp_path / "merged", overwrite=True)


def test_an_empty_folder_is_taken(expw: Path, tmp_path: Path) -> None:
    (tmp_path / "merged").mkdir()
    assert build(expw_recipe(), {"expw": expw}, tmp_path / "merged").dataset.rows("train") == 10


# ---------------------------------------------------------------- bad input


def test_a_defect_stops_the_build_and_nothing_is_written(expw: Path, tmp_path: Path) -> None:
    listed = expw / "label" / "label.lst"
    listed.write_text(listed.read_text().replace("20.5 3\n", "20.5 9\n"))
    with pytest.raises(
        DefectsFoundError, match=r"label/label\.lst:4: found expression = '9'; expected one of the codes 0, 1"
    ):
        build(expw_recipe(), {"expw": expw}, tmp_path / "merged")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["expw"]


def test_an_excluded_line_is_dropped_and_counted(expw: Path, tmp_path: Path) -> None:
    listed = expw / "label" / "label.lst"
    listed.write_text(listed.read_text().replace("20.5 3\n", "20.5 9\n"))
    report = build(expw_recipe(expw={"exclude": ["label/label.lst:4"]}), {"expw": expw}, tmp_path / "merged")
    assert report.databases["expw"].failures == {"excluded by the recipe": 1}
    assert (report.databases["expw"].lines, report.databases["expw"].rows) == (10, 9)


def test_an_exclusion_that_names_no_line_is_a_defect(expw: Path, tmp_path: Path) -> None:
    with pytest.raises(DefectsFoundError, match=r"label/label\.lst:99: found no such line; expected .* `exclude`"):
        build(expw_recipe(expw={"exclude": ["label/label.lst:99"]}), {"expw": expw}, tmp_path / "merged")


@pytest.mark.parametrize(
    ("make", "because"),
    [
        (lambda p: None, "the folder does not exist"),
        (Path.mkdir, "the folder is empty"),
        (Path.touch, "it is a file, not a folder"),
    ],
)
def test_a_root_that_is_missing_or_empty_shows_the_layout(
    tmp_path: Path, make: Callable[[Path], None], because: str
) -> None:
    make(tmp_path / "expw")
    with pytest.raises(
        DatabaseNotFoundError,
        match=rf"expw: database not found in root '.*expw': {because}\.\n('.*' holds .*\.\n)?Expected layout:\n +image/origin/",
    ):
        build(expw_recipe(), {"expw": tmp_path / "expw"}, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_the_folder_of_another_database_is_no_root(demo_roots: dict[str, Path], tmp_path: Path, name: str) -> None:
    other = demo_roots["disfa" if name != "disfa" else "expw"]
    found = DATABASES["disfa" if name != "disfa" else "expw"]
    instead = rf"It looks like {found.title} \({found.name}\), which --root {found.name}={other} would read\."
    with pytest.raises(DatabaseNotFoundError, match=rf"{name}: database not found in root '.*': .*\n{instead}"):
        build(recipe_from({"databases": {name: {}}}, "x"), {name: other}, tmp_path / "merged")


def test_problems_of_several_databases_are_reported_together(expw: Path, tmp_path: Path) -> None:
    listed = expw / "label" / "label.lst"
    listed.write_text(listed.read_text().replace("20.5 3\n", "20.5 9\n"))
    recipe = recipe_from({"databases": {"expw": {}, "disfa": {}}}, "x")
    with pytest.raises(
        SeveralProblemsError,
        match=r"(?s)2 databases have problems \(1 defects\):\ndisfa: database not found.*\nexpw: 1 defect",
    ):
        build(recipe, {"expw": expw, "disfa": tmp_path / "none"}, tmp_path / "merged")


def test_a_database_of_which_no_line_is_a_row_says_why(expw: Path, tmp_path: Path) -> None:
    for picture in (expw / "image" / "origin").iterdir():
        picture.unlink()
    with pytest.raises(
        DataError, match=r"no row is left of expw, nothing was written: expw: 10 lines failed: image file missing"
    ):
        build(expw_recipe(), {"expw": expw}, tmp_path / "merged")


def test_a_dataset_of_which_no_picture_decodes_is_refused_and_not_written_empty(expw: Path, tmp_path: Path) -> None:
    for picture in (expw / "image" / "origin").iterdir():
        picture.write_bytes(b"x")
    with pytest.raises(
        DataError,
        match=r"none of the 10 pictures can be used, nothing was built: such as '\S+p000.png' of expw, named in label/label.lst:1 \(",
    ):
        build(expw_recipe(), {"expw": expw}, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_duplicate_uid_is_a_defect_with_both_lines(expw: Path, tmp_path: Path) -> None:
    listed = expw / "label" / "label.lst"
    listed.write_text(listed.read_text() + listed.read_text().splitlines()[1] + "\n")
    with pytest.raises(
        DefectsFoundError, match=r"label/label\.lst:11: found face 0 of p001\.png again \(first in line 2\)"
    ):
        build(expw_recipe(), {"expw": expw}, tmp_path / "merged")


def test_a_split_without_a_row_is_left_out(expw: Path, tmp_path: Path) -> None:
    assert build(expw_recipe(), {"expw": expw}, tmp_path / "merged").dataset.splits == ("train",)
    assert not (tmp_path / "merged" / "validation").exists()


def test_a_split_of_which_no_picture_decodes_is_left_out(expw: Path, tmp_path: Path) -> None:
    recipe = expw_recipe(expw={"holdout": 0.3})
    first = build(recipe, {"expw": expw}, tmp_path / "one").dataset
    assert first.splits == ("train", "validation")
    for row in first.load("validation").data.table.to_pylist():
        (tmp_path / row["image"]["path"]).write_bytes(b"x")
    second = build(recipe, {"expw": expw}, tmp_path / "two")
    assert second.dataset.splits == ("train",)
    assert second.databases["expw"].failures == {"image cannot be decoded": first.rows("validation")}


def test_progress_tells_every_step_to_its_end(expw: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    build(expw_recipe(), {"expw": expw}, tmp_path / "merged", progress=lambda *step: told.append(step))
    assert told == [("reading labels: expw", 1, 1), *(("packing images", done, 3) for done in (1, 2, 3))]


# ---------------------------------------------------------------- killed

KILLED_BUILD = """
import os, signal, sys
from pathlib import Path
from affect_data.build.build import build
from affect_data.build.recipe import recipe_from

when, count, number, out, root, shard_rows = sys.argv[1:7]
left = int(count)
real = getattr(os, when)

def counted(*arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), getattr(signal, number))
    return real(*arguments)

setattr(os, when, counted)
recipe = recipe_from({"databases": {"expw": {}}, "shard_rows": int(shard_rows)}, "x")
try:
    build(recipe, {"expw": Path(root)}, Path(out), overwrite=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def killed_build(when: str, count: int, out: Path, root: Path, number: str = "SIGKILL", shard_rows: int = 4) -> int:
    """How a build ended that gets a signal just before the system call `when` is made for the `count`-th time."""
    return run_python(["-c", KILLED_BUILD, when, count, number, out, root, shard_rows]).returncode


# Three shards: two files, the pictures' digests and a record each (12), origins in a file and its state (2), two groups of state, the failures, the
# lock, the manifest: 19 renames; then the folder itself. Each is flushed before and its folder after; what describes the two groups and the origins
# is flushed too, and the folders that they are in: 44; then all of it once more, and the folder that holds the dataset.
@pytest.mark.parametrize(
    ("when", "count", "reused"),
    [("fsync", 5, 0), ("rename", 6, 1), ("fsync", 26, 3), ("fsync", 34, 3), ("fsync", 40, None), ("rename", 20, None)],
)
def test_a_killed_build_leaves_no_dataset_and_ends_with_the_same_bytes_when_it_is_run_again(
    expw: Path,
    tmp_path: Path,
    digests: Digests,
    when: str,
    count: int,
    reused: int | None,
) -> None:
    out = tmp_path / "merged"
    assert killed_build(when, count, out, expw) == -signal.SIGKILL
    assert not out.exists()
    with pytest.raises(NotADatasetError, match="the folder does not exist"):
        open_dataset(out)
    assert (tmp_path / ".merged.building" / "dataset.json").exists() == (when == "rename" and count == 20)
    resumed = build(expw_recipe(), {"expw": expw}, out)
    assert reused is None or resumed.shards_reused == reused
    build(expw_recipe(), {"expw": expw}, tmp_path / "fresh")
    assert digests(out) == digests(tmp_path / "fresh")
    assert hidden(tmp_path) == []


def test_a_picture_that_changed_between_the_kill_and_the_resume_is_packed_anew(
    expw: Path, tmp_path: Path, digests: Digests
) -> None:
    killed_build("fsync", 19, tmp_path / "merged", expw)
    Image.new("RGB", (16, 16), (1, 1, 1)).save(expw / "image" / "origin" / "p001.png")
    resumed = build(expw_recipe(), {"expw": expw}, tmp_path / "merged")
    assert resumed.shards_reused == 1
    build(expw_recipe(), {"expw": expw}, tmp_path / "fresh")
    assert digests(tmp_path / "merged") == digests(tmp_path / "fresh")


def test_another_recipe_after_a_kill_leaves_no_shard_of_the_first(expw: Path, tmp_path: Path, digests: Digests) -> None:
    killed_build("fsync", 27, tmp_path / "merged", expw, shard_rows=2)
    build(expw_recipe(), {"expw": expw}, tmp_path / "merged")
    build(expw_recipe(), {"expw": expw}, tmp_path / "fresh")
    assert digests(tmp_path / "merged") == digests(tmp_path / "fresh")


def test_a_kill_between_the_two_renames_of_an_overwrite_loses_no_way_back(
    expw: Path, tmp_path: Path, digests: Digests
) -> None:
    out = tmp_path / "merged"
    build(expw_recipe(), {"expw": expw}, out)
    relabel(expw)
    assert killed_build("rename", 21, out, expw) == -signal.SIGKILL
    assert not out.exists()
    assert hidden(tmp_path) == [".merged.building", ".merged.old"]
    with pytest.raises(
        NotADatasetError, match=rf"killed after it had .* Bring it back with `affect-data upgrade {out}`"
    ):
        open_dataset(out)
    build(expw_recipe(), {"expw": expw}, out, overwrite=True)
    build(expw_recipe(), {"expw": expw}, tmp_path / "fresh")
    assert digests(out) == digests(tmp_path / "fresh")
    assert hidden(tmp_path) == []


def test_an_overwrite_that_is_killed_before_its_end_keeps_the_old_dataset(
    expw: Path, tmp_path: Path, digests: Digests
) -> None:
    out = tmp_path / "merged"
    build(expw_recipe(), {"expw": expw}, out)
    before = digests(out)
    relabel(expw)
    assert killed_build("fsync", 20, out, expw) == -signal.SIGKILL
    assert digests(out) == before
    assert open_dataset(out).rows("train") == 10


def test_an_interrupted_build_goes_on_where_it_stopped(expw: Path, tmp_path: Path) -> None:
    assert killed_build("fsync", 11, tmp_path / "merged", expw, number="SIGINT") == 130
    assert not (tmp_path / "merged").exists()
    assert build(expw_recipe(), {"expw": expw}, tmp_path / "merged").shards_reused == 1


# ---------------------------------------------------------------- two builds at once


def test_a_second_build_of_the_same_output_is_refused_while_the_first_runs(expw: Path, tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / ".merged.building"),
        pytest.raises(DataError, match=r"is being written by another process; wait for it to end"),
    ):
        build(expw_recipe(), {"expw": expw}, tmp_path / "merged")
    assert build(expw_recipe(), {"expw": expw}, tmp_path / "merged").dataset.rows("train") == 10


def test_a_build_that_was_overtaken_while_it_read_does_not_replace_the_other(
    expw: Path, tmp_path: Path, digests: Digests
) -> None:
    out, before = tmp_path / "merged", {}

    def overtake(step: str, done: int, total: int) -> None:
        if step.startswith("reading") and not before:
            build(expw_recipe(shard_rows=5), {"expw": expw}, out)
            before.update(digests(out))

    with pytest.raises(OutputTakenError, match=r"was built by another process meanwhile\. Run the same command again"):
        build(expw_recipe(), {"expw": expw}, out, progress=overtake)
    assert digests(out) == before


def has_processes(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("amid", ["", ".seen/train/00004.json"])
def test_ctrl_c_ends_all_processes_of_a_build_without_a_traceback(
    request: pytest.FixtureRequest, tmp_path: Path, make_expw: Callable[..., Path], amid: str
) -> None:
    """While they start, and while they write."""
    root, out = make_expw(tmp_path / "expw", faces=120), tmp_path / "merged"
    recipe = tmp_path / "data.yaml"
    recipe.write_text("databases: {expw: {}}\nworkers: 4\nshard_rows: 1\n")
    command = [
        sys.executable,
        "-c",
        "from affect_data.cli.app import main; main()",
        "build",
        str(recipe),
        str(out),
        "--root",
        f"expw={root}",
    ]
    running = subprocess.Popen(
        command,
        cwd=request.config.rootpath,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not (tmp_path / ".merged.building" / amid).exists() and running.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    if not amid:
        time.sleep(0.3)
    os.killpg(running.pid, signal.SIGINT)
    printed, log = running.communicate(timeout=60)
    assert running.returncode == 130, log
    assert printed == ""
    assert "interrupted; run the same command again to go on" in log
    assert "Traceback" not in log
    assert not out.exists()
    while has_processes(running.pid):
        assert time.monotonic() < until, "processes of the build are left"
        time.sleep(0.01)


def test_splits_stand_in_the_order_of_the_design() -> None:
    assert SPLITS == ("train", "validation", "test")
