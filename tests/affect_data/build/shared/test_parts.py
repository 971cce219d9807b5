"""Parts of a build: put together, they are the dataset that one machine builds, whatever is killed, races or is wrong on the way."""

import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from python_processes import start

from affect_data.build.build import BuildReport, build
from affect_data.build.databases import layout_of, shard_jobs
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.build.shared import claims, folder
from affect_data.build.shared.finish import finish
from affect_data.build.shared.folder import PartNumber, PartsError, PartsFolder
from affect_data.build.shared.part import PartReport, build_part, pack_to
from affect_data.build.shared.reading import stored_labels
from affect_data.cli.documents import PartDocument
from affect_data.errors import FileAccessError, UsageError

Digests = Callable[[Path], dict[str, str]]
RECIPE = recipe_from({"databases": {"expw": {}}, "shard_rows": 4}, "data.yaml")


@pytest.fixture
def roots(tmp_path: Path, make_expw: Callable[..., Path]) -> dict[str, Path]:
    """An ExpW of 14 faces: four shards of at most four rows."""
    return {"expw": make_expw(tmp_path / "sources/expw", faces=14)}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "shared/merged"


def part(roots: dict[str, Path], out: Path, number: int, of: int = 2, recipe: DataRecipe = RECIPE) -> PartReport:
    return build_part(recipe, roots, out, PartNumber(number, of))


def local(roots: dict[str, Path], tmp_path: Path, digests: Digests) -> dict[str, str]:
    """What a build on one machine gives."""
    build(RECIPE, roots, tmp_path / "local")
    return digests(tmp_path / "local")


# ---------------------------------------------------------------- the same bytes


def test_parts_of_all_demo_databases_in_any_order_give_the_bytes_of_one_build(
    demo_report: BuildReport, demo_roots: dict[str, Path], demo_recipe: DataRecipe, out: Path, digests: Digests
) -> None:
    left = [part(demo_roots, out, number, 3, demo_recipe).left for number in (2, 3, 1)]
    assert left == [(1, 3), (1,), ()]
    report = finish(demo_recipe, demo_roots, out)
    assert digests(out) == digests(demo_report.dataset.path)
    assert (report.unchanged, report.databases) == (False, demo_report.databases)
    assert [path.name for path in out.parent.iterdir()] == ["merged"]


def test_labels_are_read_by_the_first_part_alone(roots: dict[str, Path], out: Path) -> None:
    part(roots, out, 1)
    read = PartsFolder(out).labels("expw") / "labels.arrow"
    before = read.stat()
    (roots["expw"] / "label/label.lst").rename(roots["expw"] / "label/elsewhere.lst")
    part(roots, out, 2)
    assert read.stat() == before


def test_a_finished_dataset_holds_the_files_of_the_parts_and_no_copies(roots: dict[str, Path], out: Path) -> None:
    part(roots, out, 1, 1)
    packed = {path.stat().st_ino for path in PartsFolder(out).path.glob("shards/**/*.arrow")}
    finish(RECIPE, roots, out)
    assert {path.stat().st_ino for path in out.glob("train/*/*.arrow")} == packed


def test_finishing_again_changes_nothing(roots: dict[str, Path], out: Path, digests: Digests) -> None:
    part(roots, out, 1, 1)
    first, before = finish(RECIPE, roots, out), digests(out)
    again = finish(RECIPE, roots, out)
    assert (first.unchanged, again.unchanged) == (False, True)
    assert (again.databases, digests(out)) == (first.databases, before)


def test_parts_over_an_older_dataset_replace_it_and_keep_its_pictures(
    roots: dict[str, Path], out: Path, tmp_path: Path, digests: Digests
) -> None:
    build(RECIPE, roots, out)
    pictures = {path.stat().st_ino for path in out.glob("train/images/*.arrow")}
    listed = roots["expw"] / "label/label.lst"
    listed.write_text(listed.read_text().replace("p000.png 0 1 2 12 13 20.5 0", "p000.png 0 1 2 12 13 20.5 5"))
    part(roots, out, 1, 1)
    finish(RECIPE, roots, out, overwrite=True)
    assert {path.stat().st_ino for path in out.glob("train/images/*.arrow")} == pictures
    assert digests(out) == local(roots, tmp_path, digests)


def test_more_parts_than_shards_leave_some_with_nothing_to_do(roots: dict[str, Path], out: Path) -> None:
    assert [part(roots, out, number, 5).shards for number in range(1, 6)] == [1, 1, 1, 1, 0]


# ---------------------------------------------------------------- kills and races


def test_a_part_that_is_killed_goes_on_and_the_bytes_are_the_same(
    roots: dict[str, Path], out: Path, tmp_path: Path, digests: Digests
) -> None:
    recipe = tmp_path / "data.yaml"
    recipe.write_text("databases: {expw: {}}\nshard_rows: 4\n")
    command = ["-m", "affect_data", "build", recipe, out, "--root", f"expw={roots['expw']}", "--part", "1/1"]
    shards = PartsFolder(out).path / "shards"
    killed = start(command, output=Path(os.devnull))
    while not list(shards.glob("*")) and killed.is_alive():
        time.sleep(0.0005)
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    left = len(list(shards.iterdir()))
    report = part(roots, out, 1, 1)
    assert report.reused == left > 0
    finish(RECIPE, roots, out)
    assert digests(out) == local(roots, tmp_path, digests)


def test_two_nodes_that_pack_one_shard_at_once_leave_one_whole_shard(
    roots: dict[str, Path], out: Path, tmp_path: Path, digests: Digests
) -> None:
    part(roots, out, 1)
    shared = PartsFolder(out)
    read = stored_labels(shared, RECIPE, roots).read
    jobs = shard_jobs(RECIPE, read, layout_of(read), tmp_path)
    shutil.rmtree(shared.path / "shards")
    for job in jobs:
        own = [replace(job, staging=shared.work(f"node-{number}")) for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            records = list(pool.map(lambda job: pack_to(shared, job), own))
        assert {record.key for record in records} == {job.key()}
        assert shared.shard(job) is not None
    assert [path for node in (shared.path / "work").iterdir() for path in node.iterdir()] == []
    finish(RECIPE, roots, out)
    assert digests(out) == local(roots, tmp_path, digests)


def test_two_parts_with_one_number_are_named_while_the_first_one_runs(
    roots: dict[str, Path], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.02)
    part(roots, out, 2)
    claim = claims.Claim.take(PartsFolder(out).claim_of(1))
    assert claim is not None
    with (
        claim,
        pytest.raises(PartsError, match=rf"part 1/2 .* by process {os.getpid()} on .*two parts have one number"),
    ):
        part(roots, out, 1)
    assert part(roots, out, 1).left == ()


def test_labels_that_somebody_began_to_read_and_did_not_end_are_read_by_another(
    roots: dict[str, Path], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PATIENCE", 0.1)
    claim = PartsFolder(out).claim("expw")
    part(roots, out, 2)
    shutil.rmtree(PartsFolder(out).labels("expw"))
    claim.write_text(json.dumps({"host": "elsewhere", "process": 1, "token": "t", "beats": 1}))
    assert part(roots, out, 1).left == ()


# ---------------------------------------------------------------- what is wrong


def test_a_missing_part_is_named_with_the_command_that_builds_it(roots: dict[str, Path], out: Path) -> None:
    part(roots, out, 1)
    with pytest.raises(PartsError, match=r"1 of 2 parts .* not finished: 2/2\. .*`--part 2/2`"):
        finish(RECIPE, roots, out)
    assert not out.exists()


def test_a_part_that_still_runs_is_named_with_its_process(roots: dict[str, Path], out: Path) -> None:
    part(roots, out, 1)
    claim = claims.Claim.take(PartsFolder(out).claim_of(2))
    assert claim is not None
    with claim, pytest.raises(PartsError, match=rf"2/2 \(begun by process {os.getpid()} on "):
        finish(RECIPE, roots, out)


def test_without_any_part_there_is_nothing_to_finish(roots: dict[str, Path], out: Path) -> None:
    out.parent.mkdir()
    with pytest.raises(PartsError, match=r"no part of .* has been built; run the same command with --part 1/n"):
        finish(RECIPE, roots, out)


@pytest.mark.parametrize("step", ["part", "finish"])
def test_parts_of_another_recipe_are_refused_and_the_difference_is_named(
    roots: dict[str, Path], out: Path, step: str
) -> None:
    part(roots, out, 1)
    other = RECIPE.model_copy(update={"shard_rows": 5})
    with pytest.raises(PartsError, match=r"are of another recipe \(shard_rows: 4, now 5\)\. .*remove the folder"):
        part(roots, out, 2, recipe=other) if step == "part" else finish(other, roots, out)


def test_parts_of_another_number_are_refused(roots: dict[str, Path], out: Path) -> None:
    part(roots, out, 1)
    with pytest.raises(PartsError, match=r"are 2 in number, and this is one of 3\. Divide the build by 2"):
        part(roots, out, 1, 3)


def test_a_node_with_another_version_of_a_library_is_refused(
    roots: dict[str, Path], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(roots, out, 1)
    real = folder.version
    monkeypatch.setattr(folder, "version", lambda name: "0.0.1" if name == "pyarrow" else real(name))
    with pytest.raises(
        PartsError, match=r"this node has other versions .*: pyarrow 0\.0\.1, there .*Install the same on every node"
    ):
        part(roots, out, 2)


@pytest.mark.parametrize(("off", "stands"), [(3600, "ahead of"), (-3600, "behind")])
def test_a_node_whose_clock_is_wrong_is_refused(
    roots: dict[str, Path], out: Path, monkeypatch: pytest.MonkeyPatch, off: int, stands: str
) -> None:
    real = time.time
    monkeypatch.setattr(folder.time, "time", lambda: real() + off)
    with pytest.raises(
        PartsError, match=rf"the clock of this node is 3,\d00 s {stands} that of the file system .*Synchronise both"
    ):
        part(roots, out, 1)


def test_a_full_file_system_is_named_and_the_part_goes_on_when_there_is_space(
    roots: dict[str, Path], out: Path, tmp_path: Path, digests: Digests
) -> None:
    with largest_file(2000), pytest.raises(FileAccessError, match=r"the file would become larger"):
        part(roots, out, 1, 1)
    part(roots, out, 1, 1)
    finish(RECIPE, roots, out)
    assert digests(out) == local(roots, tmp_path, digests)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can become larger in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_annotations_that_change_after_they_were_read_are_named(roots: dict[str, Path], out: Path) -> None:
    part(roots, out, 1, 1)
    with (roots["expw"] / "label/label.lst").open("a") as listed:
        listed.write("p000.png 1 1 2 12 13 20.5 0\n")
    with pytest.raises(
        PartsError, match=r"expw: label/label\.lst changed after the parts had read it; remove the folder"
    ):
        finish(RECIPE, roots, out)


def test_a_picture_that_changes_after_it_was_packed_is_packed_again(
    roots: dict[str, Path], out: Path, tmp_path: Path, digests: Digests
) -> None:
    part(roots, out, 1, 1)
    pictures = roots["expw"] / "image/origin"
    shutil.copyfile(pictures / "p001.png", pictures / "p009.png")
    finish(RECIPE, roots, out)
    assert digests(out) == local(roots, tmp_path, digests)


def test_labels_that_are_cut_short_are_named(roots: dict[str, Path], out: Path) -> None:
    part(roots, out, 1, 1)
    (PartsFolder(out).labels("expw") / "facts.json").write_text("{")
    with pytest.raises(PartsError, match=r"the labels of expw .* are not whole; remove that folder"):
        finish(RECIPE, roots, out)


def test_a_plan_that_cannot_be_read_is_named(roots: dict[str, Path], out: Path) -> None:
    part(roots, out, 1)
    (PartsFolder(out).path / "plan.json").write_text(json.dumps({"parts": 2}))
    with pytest.raises(PartsError, match=r"plan\.json' cannot be read; remove the folder"):
        part(roots, out, 2)


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize("text", ["3", "0/4", "5/4", "a/b", "1/", "/2", "-1/2"])
def test_a_part_that_is_no_part_is_an_error_of_the_call(text: str) -> None:
    with pytest.raises(UsageError, match="--part takes i/n with i from 1 to n, for example --part 3/8"):
        PartNumber.parse(text)


def test_the_command_builds_parts_and_finishes_them(
    roots: dict[str, Path], out: Path, tmp_path: Path, affect_data: Callable[..., CompletedProcess[str]]
) -> None:
    recipe = tmp_path / "data.yaml"
    recipe.write_text("databases: {expw: {}}\nshard_rows: 4\n")
    call = ["build", recipe, out, "--root", f"expw={roots['expw']}"]
    assert "part 1/2 of" in (first := affect_data(*call, "--part", "1/2")).stdout
    assert "not finished yet: parts 2" in first.stdout
    assert PartDocument.model_validate_json(affect_data(*call, "--part", "2/2", "--json").stdout).left == []
    assert affect_data(*call, "--part", "2/2", "--finish").returncode == 2
    assert "built" in affect_data(*call, "--finish").stdout


def test_a_dataset_is_never_built_in_an_object_store(
    roots: dict[str, Path], tmp_path: Path, affect_data: Callable[..., CompletedProcess[str]]
) -> None:
    recipe = tmp_path / "data.yaml"
    recipe.write_text("databases: {expw: {}}\n")
    done = affect_data("build", recipe, "s3://faces/merged", "--root", f"expw={roots['expw']}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "renames and links, which an object store does not have" in done.stderr
    assert "affect-data copy FOLDER s3://faces/merged" in done.stderr
