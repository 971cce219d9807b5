"""Decisions: recorded one by one and for many at once, taken back, shared by people, refused where the labels have moved."""

import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from affect_data.corrections.decisions import DecisionFile, Labels, in_force, read_decisions
from affect_data.corrections.versions import apply_decisions
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.errors import DataError
from affect_data.viewing.desk import MOST_AT_ONCE, DecidedMeanwhileError, Desk, Wish
from affect_data.viewing.table import label_table
from affect_data.vocabulary import EXPRESSIONS

MakeDesk = Callable[..., Desk]
KEEP = Wish("keep")


def change(**labels: object) -> Wish:
    return Wish("change", Labels.model_validate(labels))


def expression_of(desk: Desk, row: int) -> str | None:
    code = desk.table.frame["expression"][row]
    return EXPRESSIONS[code] if code >= 0 else None


def labelled(desk: Desk, count: int) -> list[int]:
    """The first rows with an expression other than fear."""
    known = desk.table.frame.with_row_index("row").filter(~pl.col("expression").is_in([-1, EXPRESSIONS.index("fear")]))
    return known["row"].head(count).to_list()


def test_a_changed_label_is_a_correction_with_its_old_value(desk: Desk) -> None:
    (row,) = labelled(desk, 1)
    desk.decide([row], Wish("change", Labels(expression="fear"), "looks so", {row: ["label_errors", "codes"]}), {})
    (decision,) = read_decisions(desk.file.path)
    assert (decision.action, decision.who) == ("correct", "ada")
    assert (decision.old.expression, decision.new.expression) == (expression_of(desk, row), "fear")
    assert decision.why == "label_errors, codes: looks so"


def test_a_corrected_occurrence_masks_the_intensity_of_its_unit(desk: Desk) -> None:
    frame = desk.table.frame.with_row_index("row")
    row, old = frame.filter(pl.col("intensity25").is_not_null()).select("row", "au25").row(0)
    desk.decide([row], change(au={25: 1 - old}), {})
    assert read_decisions(desk.file.path)[0].new.fields() == {("au", 25): 1 - old, ("au_intensity", 25): None}


def test_many_rows_get_one_decision_each_and_one_undo_takes_all_back(desk: Desk) -> None:
    rows = labelled(desk, 40)
    made = desk.decide([*rows, rows[0]], change(expression="fear"), {})
    assert (made.rows, made.unchanged, made.meanwhile) == (tuple(rows), 0, 0)
    decisions = read_decisions(desk.file.path)
    assert [decision.uid for decision in decisions] == desk.table.frame["uid"][rows].to_list()
    assert {decision.old.expression for decision in decisions} == {expression_of(desk, row) for row in rows}
    assert desk.states()[1].value_counts().sort("decided").rows() == [(0, len(desk.table) - 40), (2, 40)]
    assert sorted(desk.undo(made.id)) == rows
    assert in_force(read_decisions(desk.file.path)) == []
    assert desk.states()[1].sum() == 0
    with pytest.raises(DataError, match="taken back already"):
        desk.undo(made.id)


def test_a_decision_for_many_masks_what_each_row_has(desk: Desk, audited: DatasetFolder) -> None:
    frame = desk.table.frame.with_row_index("row")
    rows = [*labelled(desk, 2), frame.filter(pl.col("expression") == -1)["row"][0]]
    made = desk.decide(rows, change(expression=None), {})
    assert (made.rows, made.unchanged) == (tuple(rows[:2]), 1)
    assert [decision.action for decision in read_decisions(desk.file.path)] == ["mask", "mask"]
    apply_decisions(audited.path, desk.file.path)
    assert label_table(open_dataset(audited.path)).frame["expression"][rows].to_list() == [-1, -1, -1]


def test_rows_that_somebody_else_decided_are_left_out_of_many_and_counted(desk: Desk, make_desk: MakeDesk) -> None:
    other = make_desk(desk.folder, "grace")
    rows = labelled(desk, 3)
    first = other.decide(rows[:1], KEEP, {})
    second = other.decide(rows[1:2], KEEP, {})
    made = desk.decide(rows, change(expression="fear"), {rows[0]: first.id})
    assert (made.rows, made.meanwhile) == ((rows[0], rows[2]), 1)
    latest = desk.decision(rows[1])
    assert latest is not None
    assert latest.id == second.id


def test_deciding_again_takes_the_first_decision_back(desk: Desk) -> None:
    first = desk.decide([0], Wish("skip"), {})
    desk.decide([0], KEEP, {0: first.id})
    assert [decision.action for decision in read_decisions(desk.file.path)] == ["skip", "undo", "keep"]
    assert desk.progress()["actions"] == {"keep": 1}


def test_an_undone_undo_puts_the_decision_in_force_again(desk: Desk) -> None:
    made = desk.decide([3], KEEP, {})
    desk.undo(made.id)
    (undo,) = [decision for decision in read_decisions(desk.file.path) if decision.action == "undo"]
    undone = undo.model_copy(update={"id": "u", "undoes": undo.id})
    DecisionFile(desk.file.path).append([undone])
    assert desk.states()[1][3] == 1
    assert desk.progress()["actions"] == {"keep": 1}


def test_progress_survives_a_restart(desk: Desk, make_desk: MakeDesk) -> None:
    desk.decide([0, 1], KEEP, {})
    again = make_desk(desk.folder)
    assert again.states()[1].head(3).to_list() == [1, 1, 0]
    assert again.undo(read_decisions(desk.file.path)[0].id.partition(".")[0]) == [0, 1]


def test_two_people_with_one_file_do_not_overwrite_each_other(desk: Desk, make_desk: MakeDesk) -> None:
    other = make_desk(desk.folder, "grace")
    desk.decide([0], KEEP, {})
    with pytest.raises(DecidedMeanwhileError, match=r"ada has decided about this face meanwhile \(keep\)"):
        other.decide([0], Wish("skip"), {})
    assert other.states()[1].head(2).to_list() == [1, 0]


def test_labels_that_were_changed_meanwhile_end_the_deciding(desk: Desk, audited: DatasetFolder) -> None:
    rows = labelled(desk, 2)
    desk.decide(rows[:1], change(expression="fear"), {})
    apply_decisions(audited.path, desk.file.path)
    with pytest.raises(DataError, match="labels have changed since this page was started"):
        desk.decide(rows[1:], KEEP, {})


def test_deciding_again_about_applied_labels_builds_upon_them(
    desk: Desk, audited: DatasetFolder, make_desk: MakeDesk
) -> None:
    rows = labelled(desk, 1)
    first = desk.decide(rows, change(expression="fear"), {})
    apply_decisions(audited.path, desk.file.path)
    again = make_desk(open_dataset(audited.path))
    again.decide(rows, change(expression="surprise"), {rows[0]: first.id})
    made = read_decisions(desk.file.path)
    assert [decision.action for decision in made] == ["correct", "correct"]
    assert (made[1].old.expression, made[1].new.expression) == ("fear", "surprise")
    assert apply_decisions(audited.path, desk.file.path).version == 2


def test_what_cannot_be_decided_is_refused_and_not_written(desk: Desk) -> None:
    for rows in ([], [-1], [len(desk.table)], list(range(MOST_AT_ONCE + 1))):
        with pytest.raises(DataError, match="name between 1 and 20,000 rows"):
            desk.decide(rows, KEEP, {})
    with pytest.raises(DataError, match="no label differs"):
        desk.decide([0], Wish("change"), {})
    assert not desk.file.path.exists()


@pytest.mark.slow
def test_thirty_thousand_decisions_do_not_slow_a_desk_down(desk: Desk, make_desk: MakeDesk, tmp_path: Path) -> None:
    desk.decide([0], KEEP, {})
    (first,) = read_decisions(desk.file.path)
    lines = [first.model_copy(update={"id": f"{n}", "uid": f"{n}"}).to_line() for n in range(30_000)]
    (tmp_path / "many.jsonl").write_text("".join(lines))
    full = make_desk(desk.folder, file="many.jsonl")
    start = time.perf_counter()
    for row in range(20):
        full.decide([row], KEEP, {})
        full.states()
        full.progress()
    assert (time.perf_counter() - start) / 20 < 0.05
