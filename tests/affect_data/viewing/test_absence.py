"""Why there is no label: what the build counted by database, what reviews have masked, and what is not kept."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

import polars as pl
import pytest

from affect_data.corrections.decisions import Labels
from affect_data.corrections.versions import apply_decisions
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.errors import UnknownNameError
from affect_data.viewing.desk import Desk, Wish
from affect_data.viewing.engine import Engine
from affect_data.viewing.faces import Faces
from affect_data.viewing.filters import check_view, view_of
from affect_data.viewing.table import LabelTable, label_table


def rows(table: LabelTable, address: str) -> list[int]:
    return Engine(table).rows(view_of(parse_qsl(address))).tolist()


def unlabelled(table: LabelTable, database: str) -> pl.DataFrame:
    frame = table.frame.with_row_index("row")
    return frame.filter(pl.col("database") == table.databases.index(database), pl.col("expression") == -1)


def with_reasons(folder: DatasetFolder, database: str, reasons: dict[str, int]) -> LabelTable:
    """The table of a dataset whose build counted these reasons for missing expressions of a database."""
    lock = json.loads((folder.path / "dataset.lock.json").read_text())
    masked = [{"task": "expression", "reason": reason, "rows": count} for reason, count in reasons.items()]
    lock["databases"][database]["masked"] = masked
    (folder.path / "dataset.lock.json").write_text(json.dumps(lock))
    return label_table(open_dataset(folder.path))


def test_a_database_that_labels_no_expression_says_so_of_all_its_faces(table: LabelTable) -> None:
    disfa = unlabelled(table, "disfa")["row"].to_list()
    assert set(disfa) <= set(rows(table, "why=expression:database"))
    assert rows(table, "why=expression:database&database=disfa") == disfa
    assert table.absence.of("expression", disfa[0], table.databases.index("disfa"), "disfa") == "disfa labels none"


def test_a_reason_that_is_the_only_one_holds_for_every_unlabelled_face(dataset: DatasetFolder) -> None:
    own = unlabelled(label_table(dataset), "affwild2")["row"].to_list()
    assert own
    table = with_reasons(dataset, "affwild2", {"blurred": len(own)})
    assert rows(table, "why=expression:blurred") == own
    assert table.absence.of("expression", own[0], table.databases.index("affwild2"), "affwild2") == "blurred"
    causes = table.absence.causes["expression"][table.databases.index("affwild2")]
    assert causes == {"blurred": len(own)}


def test_of_several_reasons_each_face_may_have_any_and_is_told_so(dataset: DatasetFolder) -> None:
    own = unlabelled(label_table(dataset), "affwild2")["row"].to_list()
    table = with_reasons(dataset, "affwild2", {"blurred": 1, "dark": len(own) - 2})
    for cause in ("blurred", "dark", "files"):
        assert rows(table, f"why=expression:{cause}&database=affwild2") == own
    told = table.absence.of("expression", own[0], table.databases.index("affwild2"), "affwild2")
    assert told == f"not kept which: blurred (1 face); dark ({len(own) - 2} faces); its files have none here"


def test_what_a_review_has_masked_is_known_by_face(
    dataset: DatasetFolder, make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = make_desk(dataset)
    row = desk.table.frame.with_row_index("row").filter(pl.col("expression") >= 0)["row"][0]
    desk.decide([row], Wish("change", Labels(expression=None)), {})
    apply_decisions(dataset.path, tmp_path / "d.jsonl")
    reviewed = make_desk(open_dataset(dataset.path), file="e.jsonl")
    assert rows(reviewed.table, "why=expression:review") == [row]
    assert Engine(reviewed.table).counts(view_of([]))["choices"]["why"]["expression:review"] == 1
    told = Faces(reviewed).describe(row)["missing"]["expression"]
    assert told.startswith("masked by ada on 20")
    assert told.endswith(" in a review")


def test_every_unlabelled_face_has_a_cause_and_no_labelled_one(table: LabelTable) -> None:
    named = [name for name in Engine(table).counts(view_of([]))["choices"]["why"] if name.startswith("va:")]
    found = {row for name in named for row in rows(table, f"why={name}")}
    assert found == set(table.frame.with_row_index("row").filter(pl.col("plane") == -1)["row"])


def test_a_cause_that_no_face_has_is_refused(table: LabelTable) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown cause 'expression:rain'.*expression:database"):
        check_view(table, "why=expression:rain")
