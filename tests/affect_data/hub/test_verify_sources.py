"""A dataset against the databases that it was built from: whatever changed on either side is found, and nothing where nothing did."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow as pa
import pytest

from affect_data.build.build import BuildReport, build
from affect_data.build.recipe import recipe_from
from affect_data.corrections.decisions import Decision, Labels
from affect_data.corrections.versions import apply_decisions
from affect_data.dataset.folder import open_dataset
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.schema import LABELS
from affect_data.dataset.writing import write_manifest
from affect_data.hub.codes import Finding
from affect_data.hub.verify import verify
from affect_data.hub.verify_sources import Sources, recipe_of
from affect_data.vocabulary import EXPRESSIONS

Run = Callable[..., CompletedProcess[str]]


def compared(dataset: Path, roots: dict[str, Path], workers: int = 1) -> list[Finding]:
    sources = Sources(recipe_of(open_dataset(dataset)), roots)
    return list(verify(str(dataset), deep=True, sources=sources, workers=workers).findings)


@pytest.fixture
def roots(faces_root: Path, tmp_path: Path) -> dict[str, Path]:
    """A copy of the database of `faces` that a test may change."""
    return {"expw": Path(shutil.copytree(faces_root, tmp_path / "sources"))}


def test_nothing_differs_from_the_six_demo_databases(demo_report: BuildReport, demo_roots: dict[str, Path]) -> None:
    assert compared(demo_report.dataset.path, demo_roots, workers=3) == []


@pytest.mark.parametrize("name", ["dfew", "raf_au"])
def test_nothing_differs_where_there_are_clips_people_raters_and_sides(
    name: str, written_of: Callable[[str], Any], tmp_path: Path
) -> None:
    written = written_of(name)
    recipe = recipe_from({"databases": {name: {"incomplete": "accepted"}}, "shard_rows": 8}, name)
    build(recipe, {name: written.root}, tmp_path / "merged")
    assert compared(tmp_path / "merged", {name: written.root}) == []


def test_another_label_in_the_sources_is_named_with_its_line(faces: Path, roots: dict[str, Path]) -> None:
    listed = roots["expw"] / "label/label.lst"
    listed.write_text(listed.read_text().replace("p000.png 0 1 2 12 13 20.5 0", "p000.png 0 1 2 12 13 20.5 5"))
    (found,) = compared(faces, roots)
    assert found.code == "D301"
    assert "(label/label.lst:1): expression" in found.found
    assert found.found.startswith("1 rows, such as expw:")


def test_a_label_that_was_changed_in_the_dataset_with_its_fingerprints_is_found(
    faces: Path, roots: dict[str, Path]
) -> None:
    """As somebody would who edits a dataset and makes all statements in it true again."""
    folder = open_dataset(faces)
    first = sorted((faces / "train/labels").glob("*.arrow"))[0]
    table = pa.ipc.open_stream(first.read_bytes()).read_all()
    values = table.column("expression").to_pylist()
    place = table.column_names.index("expression")
    table = table.set_column(place, table.schema.field(place), pa.array([(values[0] + 1) % 7, *values[1:]], pa.int64()))
    with pa.OSFile(str(first), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    restate(folder, content_hash(table))
    assert list(verify(str(faces), deep=True).findings) == []
    assert [(found.code, found.where) for found in compared(faces, roots)] == [("D301", "train: expw")]


def restate(folder: Any, shard: str) -> None:
    """Makes the manifest agree with a changed first shard of labels."""
    from affect_data.dataset.hashing import combined_hash
    from affect_data.dataset.writing import labels_fingerprint

    manifest = folder.manifest
    manifest.shards["train"][LABELS][0] = shard
    manifest.groups["train"][LABELS] = combined_hash(manifest.shards["train"][LABELS], seed=LABELS)
    manifest.fingerprints = manifest.fingerprints.model_copy(update={"labels": labels_fingerprint(manifest)})
    write_manifest(folder.path, manifest)
    state = folder.path / "train/labels/state.json"
    state.write_text(
        json.dumps({**json.loads(state.read_text()), "_fingerprint": manifest.groups["train"][LABELS][:16]})
    )


def test_another_picture_in_the_sources_is_named(faces: Path, roots: dict[str, Path]) -> None:
    pictures = roots["expw"] / "image/origin"
    shutil.copyfile(pictures / "p001.png", pictures / "p000.png")
    (found,) = compared(faces, roots, workers=2)
    assert (found.code, found.found) == ("D302", "1 rows, such as " + found.found.partition("such as ")[2])
    assert "p000" in found.found


def test_rows_that_are_new_or_gone_in_the_sources_are_counted(faces: Path, roots: dict[str, Path]) -> None:
    listed = roots["expw"] / "label/label.lst"
    lines = listed.read_text().splitlines(keepends=True)
    listed.write_text("".join(lines[:-1]))
    (found,) = compared(faces, roots)
    assert (found.code, "1 rows that the sources do not list: expw:" in found.found) == ("D303", True)
    listed.write_text("".join([*lines, "p000.png 1 1 2 12 13 20.5 0\n"]))
    (found,) = compared(faces, roots)
    assert (found.code, found.found) == ("D303", "1 rows of the sources are not in the dataset")


def test_a_picture_that_could_not_be_used_and_is_another_now_is_found(
    make_expw: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_expw(tmp_path / "expw")
    (root / "image/origin/p003.png").write_bytes(b"no picture")
    build(recipe_from({"databases": {"expw": {}}}, "r"), {"expw": root}, tmp_path / "merged")
    assert compared(tmp_path / "merged", {"expw": root}) == []
    (root / "image/origin/p003.png").write_bytes(b"no picture either")
    assert [(found.code, found.found) for found in compared(tmp_path / "merged", {"expw": root})] == [
        ("D303", "pictures of train: expw")
    ]


def test_labels_that_were_corrected_are_no_defect(faces: Path, roots: dict[str, Path], tmp_path: Path) -> None:
    folder = open_dataset(faces)
    row = folder.labels("train").row(0, named=True)
    decision = Decision(
        id="0" * 32, uid=row["uid"], split="train", image_digest=row["image_digest"], face=row["face"], database="expw",
        dataset=folder.fingerprint, action="mask", old=Labels(expression=EXPRESSIONS[row["expression"]]),
        new=Labels(expression=None), who="nobody", when="2020-01-01T00:00:00+00:00",
    )  # fmt: skip
    (tmp_path / "decisions.jsonl").write_text(decision.to_line())
    apply_decisions(faces, tmp_path / "decisions.jsonl")
    assert compared(faces, roots) == []


def test_the_command_compares_and_refuses_what_does_not_go_together(
    faces: Path, roots: dict[str, Path], affect_data: Run
) -> None:
    root = ("--root", f"expw={roots['expw']}")
    done = affect_data("verify", faces, "--deep", *root)
    assert (done.returncode, "every value, also of the sources, looked at" in done.stdout) == (0, True)
    (roots["expw"] / "image/origin/p000.png").unlink()
    assert affect_data("verify", faces, "--deep", *root).returncode == 1
    assert "add --deep" in affect_data("verify", faces, *root).stderr
    refused = affect_data("verify", "hf://anna/faces", "--deep", *root)
    assert (refused.returncode, "affect-data rebuild" in refused.stderr) == (2, True)
    lock = faces / "dataset.lock.json"
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "recipe": None}))
    assert "does not say what the dataset was built from" in affect_data("verify", faces, "--deep", *root).stderr
