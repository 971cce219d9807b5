"""What holds for every registered database: it says what it must, and reads its own demo files to exactly the truth that was drawn."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import polars as pl
import pytest
from written_databases import FACES, Written

from affect_data.build.conformance import RULES, Copy
from affect_data.build.harmonise import harmonise
from affect_data.build.recipe import SplitOptions
from affect_data.build.side_columns import side_defects, unified_side_columns
from affect_data.databases.base import SPLITS, TASKS, Database, DatabaseOptions, Tier
from affect_data.databases.catalogue import facts
from affect_data.databases.registry import DATABASES, database_named
from affect_data.databases.root import FAILURE_SCHEMA, DatabaseRoot
from affect_data.dataset.schema import COLUMNS_BY_NAME, IMAGES, LABELS
from affect_data.dataset.side.groups import declared_columns
from affect_data.demo.sampler import DEMO_ACTION_UNITS, DemoFace
from affect_data.errors import UnknownNameError
from affect_data.vocabulary import ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS


@pytest.fixture(scope="module", params=sorted(DATABASES))
def written(request: pytest.FixtureRequest, written_of: Callable[[str], Written]) -> Written:
    return written_of(request.param)


# ---------------------------------------------------------------- what it says


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_its_key_is_its_name_and_its_module(name: str) -> None:
    database = DATABASES[name]
    assert database.name == name
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert database.__module__ in (f"affect_data.databases.{name}", f"affect_data.databases.{name}.reader")
    assert database_named(name) is database


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_it_says_who_made_it_and_what_its_licence_permits(name: str) -> None:
    database = DATABASES[name]
    assert database.title
    assert database.source_family
    assert len(database.licence.terms) > 20
    assert database.licence.publishes in Tier
    assert re.fullmatch(r"https?://\S+", database.licence.url)
    assert re.fullmatch(r"https?://\S+", database.homepage)
    reading = database.licence.reading
    assert re.fullmatch(r"(\d{4}-\d\d-\d\d)?", reading.on)
    assert bool(reading.on) == bool(reading.source)


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_its_citation_is_bibtex(name: str) -> None:
    entries = re.split(r"\n(?=@)", DATABASES[name].citation.strip())
    for entry in entries:
        assert re.match(r"@(article|inproceedings|misc|techreport|phdthesis)\{[a-z]+\d{4}\w*,\n", entry)
        assert entry.rstrip().endswith("}")
        assert entry.count("{") == entry.count("}")
        found = dict(re.findall(r"^\s*(\w+)\s*=\s*\{(.+)\},?$", entry, re.MULTILINE))
        assert {"title", "author", "year"} <= set(found)
        assert 1970 <= int(found["year"]) <= 2030


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_its_docstring_describes_it_and_shows_the_official_layout(name: str) -> None:
    assert len(DATABASES[name].description()) > 20
    assert DATABASES[name].layout().strip()
    assert re.search(r"\.\w{2,4}\b", DATABASES[name].layout())


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_its_labels_are_of_the_vocabulary_and_it_has_some(name: str) -> None:
    database = DATABASES[name]
    assert set(database.action_units) | set(database.action_unit_intensities) <= set(ACTION_UNITS)
    assert list(database.action_units) == sorted(set(database.action_units))
    assert set(database.expressions) <= set(EXPRESSIONS)
    assert len(database.expressions) == len(set(database.expressions))
    assert set(database.compound_expressions) <= set(COMPOUND_EXPRESSIONS)
    assert database.tasks()
    assert set(database.tasks()) <= set(TASKS)


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_its_options_have_defaults_descriptions_and_no_room_for_unknown_keys(name: str) -> None:
    options = DATABASES[name].Options
    assert issubclass(options, DatabaseOptions)
    assert options.model_validate({}) == DATABASES[name]().options
    assert all(field.description for field in options.model_fields.values())
    assert options.model_config["extra"] == "forbid"
    assert options.model_config["frozen"]


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_its_entry_in_the_catalogue_is_complete_and_plain(name: str) -> None:
    entry = facts(name)
    assert json.loads(json.dumps(entry)) == entry
    for key in (
        "title",
        "description",
        "tasks",
        "licence",
        "licence_url",
        "publishes",
        "homepage",
        "citation",
        "source_family",
        "layout",
    ):
        assert entry[key], key


def test_an_unknown_database_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown database 'expv'; did you mean 'expw'\? known: ") as refused:
        database_named("expv")
    assert str(refused.value).endswith(f"known: {', '.join(sorted(DATABASES))}")


# ---------------------------------------------------------------- its demo files


def test_its_folder_is_recognised_as_its_own_and_as_no_other(written: Written) -> None:
    assert [n for n, database in DATABASES.items() if database().recognises(DatabaseRoot(written.root))] == [
        written.database.name
    ]


def test_it_reads_its_demo_files_without_a_defect(written: Written) -> None:
    assert written.scan.defects == ()
    assert len(written.scan.rows) > FACES / 2


def labels_are_folders(written: Written) -> bool:
    """Whether the database has no files of labels: the label of a file is the name of its folder."""
    return {row.field for row in written.database.mapping} == {"folder"}


def test_it_names_the_files_that_it_read_relative_to_the_root(written: Written) -> None:
    assert written.scan.annotation_files or labels_are_folders(written)
    for path in written.scan.annotation_files:
        assert (written.root / path).is_file()
        assert ".." not in path


def workbook_rows(path: Path) -> int:
    """How many rows all sheets of a workbook have."""
    return sum(sheet.max_row for sheet in openpyxl.load_workbook(path))


def test_every_listed_face_is_a_row_or_a_failure(written: Written) -> None:
    scan = written.scan
    assert scan.lines == len(scan.rows) + len(scan.failures) == written.files.listed


def test_every_drawn_face_is_one_row(written: Written) -> None:
    places = written.scan.rows.select(
        "image", face=pl.col("face").fill_null(-1) if "face" in written.scan.rows.columns else pl.lit(-1)
    )
    assert not places.is_duplicated().any()
    assert set(written.placed) <= set(places.rows())


def test_every_row_and_failure_leads_to_a_line_of_a_file(written: Written) -> None:
    sizes = {
        path: workbook_rows(written.root / path)
        if path.endswith(".xlsx")
        else (written.root / path).read_text(encoding="utf-8-sig").count("\n") + 1
        for path in written.scan.annotation_files
        if not path.endswith(".npy")
    }
    assert written.scan.failures.schema == FAILURE_SCHEMA
    for frame in (written.scan.rows, written.scan.failures):
        for path, line in frame.select("source_file", "source_line").iter_rows():
            if labels_are_folders(written):
                assert ((written.root / path).exists(), line) == (True, 1)
            else:
                assert 1 <= line <= sizes[path]


def test_every_picture_of_a_row_opens_and_is_its_own_file(written: Written) -> None:
    opened = written.database.open_images(written.root)
    for image in written.scan.rows["image"].unique().to_list():
        assert not image.startswith("/")
        assert opened(image)


def test_a_picture_that_is_not_there_is_file_not_found(written: Written) -> None:
    first = str(written.scan.rows["image"][0])
    if not (written.root / first).is_file():
        pytest.skip("its pictures are no files of their own")
    with pytest.raises(FileNotFoundError):
        written.database.open_images(written.root)(f"{first}.none")


def labels_of(row: dict[str, Any]) -> dict[str, Any]:
    beginnings = ("au_", "votes_", "expression", "compound_expression", "valence", "arousal")
    return {
        name: value
        for name, value in row.items()
        if name.startswith(beginnings) and not name.endswith("_masked") and value is not None
    }


def intensity(truth: DemoFace, number: int) -> int:
    """0 for action units that the demo does not draw: no face shows them."""
    return truth.intensity(number) if number in DEMO_ACTION_UNITS else 0


def occurrence(database: Database, truth: DemoFace, number: int) -> int:
    """From the database's own threshold on, where it derives occurrence from intensity; else from the demo's, which is 2."""
    return int(intensity(truth, number) >= getattr(database.options, "action_unit_threshold", 2))


def test_every_label_is_the_truth_that_was_drawn(written: Written) -> None:
    """The strongest of these tests: nothing that a reader gives for a face may differ from what was drawn there."""
    tolerance = written.files.rounding + 1e-9
    compared = dict.fromkeys(("au", "au_intensity", "expression", "compound_expression", "va"), 0)
    for row in written.scan.rows.iter_rows(named=True):
        labels = labels_of(row)
        if not labels:
            continue
        place = (row["image"], -1 if row.get("face") is None else row["face"])
        if written.database.has_expression_votes and place not in written.placed:
            assert row["expression"] is None, "votes on a picture without a face make no expression"
            continue
        truth = written.placed[place].truth
        for name, value in labels.items():
            if name.startswith("au_intensity_"):
                assert value == intensity(truth, int(name[13:])), (row["image"], name)
                compared["au_intensity"] += 1
            elif name.startswith("au_"):
                assert value == occurrence(written.database, truth, int(name[3:])), (row["image"], name)
                compared["au"] += 1
            elif name == "expression" and not written.database.has_expression_votes:
                assert value == truth.expression, row["image"]
                compared["expression"] += 1
            elif name == "compound_expression":
                assert value == truth.compound != "", row["image"]
                compared["compound_expression"] += 1
            elif name in ("valence", "arousal"):
                assert abs(value - getattr(truth, name)) <= tolerance, (row["image"], name)
                compared["va"] += 1
    labelled = {
        "au": written.database.action_units,
        "au_intensity": written.database.action_unit_intensities,
        "expression": written.database.expressions and not written.database.has_expression_votes,
        "compound_expression": written.database.compound_expressions,
        "va": written.database.valence_arousal,
    }
    assert {task for task, count in compared.items() if count} == {task for task, has in labelled.items() if has}


def test_a_face_without_a_label_that_its_database_codes_says_why_or_has_no_annotation(written: Written) -> None:
    rows = written.scan.rows
    if "compound_expression" in rows.columns:
        rows = rows.filter(pl.col("compound_expression").is_null())
    for task, column in (("expression", "expression"), ("va", "valence")):
        if task in written.database.tasks() and column in rows.columns and len(written.database.tasks()) == 1:
            unlabelled = rows.filter(pl.col(column).is_null())
            assert f"{task}_masked" in rows.columns or unlabelled.is_empty()
            if len(unlabelled):
                assert unlabelled[f"{task}_masked"].null_count() == 0


def test_votes_are_shares_and_the_expression_has_the_most_of_them(written: Written) -> None:
    if not written.database.has_expression_votes:
        assert not [name for name in written.scan.rows.columns if name.startswith("votes_")]
        return
    agreeing = 0
    labelled = written.scan.rows.filter(pl.col("expression").is_not_null())
    for row in labelled.iter_rows(named=True):
        shares = {name: row[f"votes_{name}"] for name in written.database.expressions}
        assert sum(shares.values()) <= 1 + 1e-6
        assert shares[row["expression"]] == max(shares.values()) > 0
        agreeing += row["expression"] == written.placed[row["image"], -1].truth.expression
    assert agreeing > 0.7 * len(labelled) > 30


def test_its_scores_are_columns_of_numbers_and_no_columns_of_the_schema(written: Written) -> None:
    scores = written.database.scores
    assert {name for name in written.scan.rows.columns if name.startswith("score_")} == {f"score_{n}" for n in scores}
    for name, meaning in scores.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert name not in (*COLUMNS_BY_NAME, LABELS, IMAGES)
        assert len(meaning) > 10
        assert written.scan.rows[f"score_{name}"].drop_nulls().is_finite().sum() > FACES / 2


def test_what_it_declares_beside_the_labels_is_given_and_contradicts_nothing(written: Written) -> None:
    rows = written.scan.rows
    assert side_defects(rows, written.database) == []
    declared = declared_columns([type(written.database)])
    for column, values in zip(declared, unified_side_columns(rows, written.database), strict=True):
        none = column.absent(len(rows))
        assert not values.equals(none), f"{column.name} is declared, and no row has it"


def test_no_person_who_was_drawn_has_two_subject_names(written: Written) -> None:
    if "subject" not in written.scan.rows.columns:
        return
    people: dict[str, set[str]] = {}
    for image, subject in written.scan.rows.select("image", "subject").iter_rows():
        if subject and (image, -1) in written.placed:
            people.setdefault(written.placed[image, -1].truth.subject, set()).add(subject)
    assert {person: len(names) for person, names in people.items()} == dict.fromkeys(people, 1)


def test_its_published_folds_part_no_person_and_leave_none_out(written: Written) -> None:
    parts = written.database.literature_folds
    named = [subject for part in parts.values() for subject in part]
    assert len(named) == len(set(named))
    assert len(parts) != 1
    if parts:
        assert set(written.scan.rows["subject"]) <= set(named)


def test_official_splits_are_those_of_the_schema(written: Written) -> None:
    columns = [name for name in written.scan.rows.columns if name == "split" or name.startswith("split_")]
    found = {value for name in columns for value in written.scan.rows[name].drop_nulls().to_list()}
    assert found <= set(SPLITS)
    assert not columns or "train" in found


def test_its_rows_harmonise_and_hold_every_rule(written: Written) -> None:
    release = written.database.release_of(DatabaseRoot(written.root))
    assert release in written.database.releases or (release == "" and not written.database.releases)
    unified = harmonise(written.scan, written.database, release, SplitOptions())
    assert len(unified.labels) == len(written.scan.rows)
    assert unified.labels["uid"].str.starts_with(f"{written.database.name}:").all()
    coded = {slot for slot, number in enumerate(ACTION_UNITS) if number in written.database.action_units}
    assert set(np.nonzero(unified.labels["au_mask"].to_numpy().any(axis=0))[0].tolist()) <= coded


def test_reading_again_gives_the_same_rows(written: Written) -> None:
    again = type(written.database)().read(DatabaseRoot(written.root))
    assert again.rows.equals(written.scan.rows)
    assert again.failures.equals(written.scan.failures)
    assert again.notes == written.scan.notes


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_copy_holds_the_rules_that_a_full_check_applies(written: Written, rule: Callable[[Copy], Any]) -> None:
    assert list(rule(Copy(written.database, written.root, written.scan))) == []


# ---------------------------------------------------------------- how values are spelt

SPELT_APART = re.compile(r"-?\d+")


def respelt(text: str) -> str:
    """The text of a list with every whole number as a float's, and blanks as tabs with one at the end of a line."""
    lines = []
    for line in text.split("\n"):
        separator = next((mark for mark in "\t," if mark in line), " ")
        fields = [f"{field}.0" if SPELT_APART.fullmatch(field) else field for field in line.split(separator)]
        is_header = fields[:3] == ["0.0", "1.0", "2.0"]
        lines.append(
            line if is_header else "\t".join(fields) + " " if separator == " " and line else separator.join(fields)
        )
    return "\n".join(lines)


def test_another_spelling_of_numbers_changes_no_row(written: Written, tmp_path: Path) -> None:
    root = Path(shutil.copytree(written.root, tmp_path / "root", copy_function=os.link))
    for name in written.scan.annotation_files:
        data = (root / name).read_bytes()
        (root / name).unlink()
        if name.endswith(".json"):
            changed = re.sub(rb'("(?:valence|arousal)": )(-?[\d.]+)', rb'\1"\2"', data)
        else:
            changed = data if name.endswith(".xlsx") else respelt(data.decode()).encode()
        (root / name).write_bytes(changed)
    scan = written.database.read(DatabaseRoot(root))
    assert scan.defects == ()
    assert scan.rows.equals(written.scan.rows)
    assert scan.failures.equals(written.scan.failures)


def test_folders_that_unpacking_doubled_are_read_as_the_inner_ones(written: Written, tmp_path: Path) -> None:
    copy = tmp_path / "doubled"
    shutil.copytree(written.root, copy, copy_function=os.link)
    for folder in [path for path in copy.iterdir() if path.is_dir()]:
        inner = folder.rename(copy / "moved")
        folder.mkdir()
        inner.rename(folder / folder.name)
    scan = written.database.read(DatabaseRoot(copy))
    places = ("image", "source_file", "clip_frames")
    assert scan.rows.drop(places, strict=False).equals(written.scan.rows.drop(places, strict=False))
    assert (scan.defects, scan.losses, scan.counts) == (written.scan.defects, written.scan.losses, written.scan.counts)
