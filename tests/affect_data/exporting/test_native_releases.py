"""Databases of several forms are written in the form that they were read in: the numpy release, the table of votes, the multi-task table."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from native_files import Files, as_number, files_of, packed
from written_databases import Written

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.registry import DATABASES
from affect_data.databases.root import DatabaseRoot
from affect_data.dataset.loading import to_polars
from affect_data.demo import affectnet, affwild2, ferplus
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.truth import DemoFiles
from affect_data.exporting.native import NATIVE_FORMS, export_native

FORMS: dict[str, Callable[[Path, FaceSampler, int], DemoFiles]] = {
    "affectnet": affectnet.write_numpy,
    "affwild2": affwild2.write_mtl,
    "ferplus": ferplus.write_csv,
}
FACES = 70


@dataclass(frozen=True)
class Forms:
    """The demo files of each database in its other form, and one dataset of all."""

    merged: Path
    written: dict[str, Written]


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Forms:
    world = tmp_path_factory.mktemp("forms")
    written = {}
    for name, write in FORMS.items():
        files = write(world / name, FaceSampler(3), FACES)
        written[name] = Written(
            DATABASES[name](), world / name, files, {}, DATABASES[name]().read(DatabaseRoot(world / name))
        )
    content = {"databases": {name: {"incomplete": "accepted"} for name in FORMS}, "splits": {"policy": "follow_task"}}
    build(recipe_from(content, "forms"), {name: world / name for name in FORMS}, world / "merged")
    return Forms(world / "merged", written)


def exported(forms: Forms, name: str, out: Path) -> tuple[Written, Files]:
    export_native(forms.merged, name, out)
    return packed(forms.written[name], forms.merged), files_of(out)


def rows_of(forms: Forms, name: str) -> pl.DataFrame:
    return to_polars(forms.merged, side=NATIVE_FORMS[name].side, wide=True).filter(pl.col("database") == name)


def read_back(forms: Forms, name: str, out: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The labels that the reader gives for the written files with the pictures of the demo, and those of the demo."""
    for path in forms.written[name].root.rglob("*"):
        place = out / path.relative_to(forms.written[name].root)
        if path.is_file() and not place.exists() and place.suffix != ".npy":
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)
    scan = DATABASES[name]().read(DatabaseRoot(out, follow_links=True))
    assert scan.defects == ()
    columns = [
        column
        for column in scan.rows.columns
        if column.startswith(("image", "au_", "expression", "votes", "valence", "arousal"))
        and not column.endswith("_masked")
    ]
    found, official = (rows.select(columns).sort("image") for rows in (scan.rows, forms.written[name].scan.rows))
    return found, official


def test_the_numpy_release_has_the_arrays_of_each_label(forms: Forms, tmp_path: Path) -> None:
    written, files = exported(forms, "affectnet", tmp_path / "out")
    images = set(written.scan.rows["image"])
    for path in sorted(written.root.rglob("*.npy")):
        number, suffix = path.stem.split("_")
        image = f"{path.parts[-3]}/images/{number}.jpg"
        half = not all(path.with_name(f"{number}_{other}.npy").exists() for other in ("val", "aro"))
        if image in images and suffix != "lnd" and not (half and suffix in ("val", "aro")):
            found = np.load(io.BytesIO(files.pop(path.relative_to(written.root).as_posix())), allow_pickle=False)
            official = np.load(path, allow_pickle=False)
            assert found.shape == official.shape == ()
            assert str(found) == str(official) if suffix == "exp" else float(found.item()) == as_number(official.item())
    assert files == {}


def test_the_numpy_release_reads_back_to_the_same_labels(forms: Forms, tmp_path: Path) -> None:
    exported(forms, "affectnet", tmp_path / "out")
    found, official = read_back(forms, "affectnet", tmp_path / "out")
    assert found.equals(official)


def test_affectnet_takes_the_class_of_a_decision_and_writes_none_where_one_was_taken_away(forms: Forms) -> None:
    rows = rows_of(forms, "affectnet").filter(pl.col("expression") == "neutral").head(3)
    changed = rows.with_columns(expression=pl.Series(["anger", None, "other"], dtype=pl.String))
    written = {
        file.path: np.load(io.BytesIO(file.content))
        for file in NATIVE_FORMS["affectnet"].files(changed)
        if isinstance(file.content, bytes)
    }
    classes = {path: str(value) for path, value in written.items() if path.endswith("_exp.npy")}
    first = rows["source_file"][0]
    assert classes == {first: "6"}
    assert sum(path.endswith("_val.npy") for path in written) == 3


def test_the_table_of_votes_keeps_every_line_in_its_place(forms: Forms, tmp_path: Path) -> None:
    written, files = exported(forms, "ferplus", tmp_path / "out")
    header, *found = [line.split(",") for line in files.pop("fer2013new.csv").splitlines()]
    top, *official = [line.split(",") for line in (written.root / "fer2013new.csv").read_text().splitlines()]
    assert files == {}
    assert header == top
    rows = set(written.scan.rows["source_line"])
    assert 0 < len(rows) < len(official) == len(found)
    for number, (own, line) in enumerate(zip(found, official, strict=True), start=2):
        assert own[0] == line[0]
        if number not in rows:
            assert own[1:] == ["", *["0"] * 9, "10"]
            continue
        votes = [int(vote) for vote in line[2:]]
        if sum(votes) < 10 and max(votes) == sum(votes):
            votes = [10 if vote else 0 for vote in votes]
        assert [int(vote) for vote in own[2:]] == [*votes[:8], sum(votes[8:]), 0]
        assert own[1] == f"fer{number - 2:07d}.png"


def test_the_table_of_votes_reads_back_to_the_same_pictures_and_labels(forms: Forms, tmp_path: Path) -> None:
    exported(forms, "ferplus", tmp_path / "out")
    found, official = read_back(forms, "ferplus", tmp_path / "out")
    shares = [column for column in official.columns if column.startswith("votes")]
    assert found.select("image", "expression").equals(official.select("image", "expression"))
    assert np.abs(found.select(shares).to_numpy() - official.select(shares).to_numpy()).max() < 1e-6


def labelled(lines: list[str]) -> Iterator[list[str]]:
    for line in lines:
        picture, *cells = line.split(",")
        yield [picture, *(["-5", "-5"] if "-5" in cells[:2] else cells[:2]), *cells[2:]]


def test_the_multi_task_table_has_the_line_of_each_frame(forms: Forms, tmp_path: Path) -> None:
    written, files = exported(forms, "affwild2", tmp_path / "out")
    rows = set(written.scan.rows.select("source_file", "source_line").iter_rows())
    for path in ("training_set_annotations.txt", "validation_set_annotations.txt"):
        top, *official = (written.root / path).read_text().splitlines()
        header, *found = files.pop(path).splitlines()
        assert header == top == "image,valence,arousal,expression,aus"
        kept = [line for number, line in enumerate(official, start=2) if (path, number) in rows]
        wanted = [[line[0], *map(as_number, line[1:])] for line in labelled(kept)]
        assert [[line[0], *map(float, line[1:])] for line in (line.split(",") for line in found)] == wanted
        assert len(wanted) > 10
    assert files == {}


def test_the_multi_task_table_reads_back_to_the_same_labels(forms: Forms, tmp_path: Path) -> None:
    exported(forms, "affwild2", tmp_path / "out")
    found, official = read_back(forms, "affwild2", tmp_path / "out")
    assert found.equals(official)
