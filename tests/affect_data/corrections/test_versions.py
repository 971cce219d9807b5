"""Applying decisions: all or nothing, found by picture and face, undone to the byte, and repeated by the next build."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from datasets import Features, Value
from python_processes import KILLED_AT, run_python

from affect_data.build.build import build
from affect_data.build.recipe import DataRecipe, read_recipe, recipe_from
from affect_data.corrections.decisions import Decision, DecisionsError
from affect_data.corrections.versions import MisfitsError, apply_decisions, read_changes, undo_version
from affect_data.databases.registry import DATABASES
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.balance import BALANCE
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.kinds.folds import FOLDS
from affect_data.dataset.kinds.registry import stale_groups
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.schema import check_rules
from affect_data.dataset.writing import add_group
from affect_data.demo.known_labels import reveal
from affect_data.errors import DataError, SchemaError
from affect_data.vocabulary import ACTION_UNIT_SLOTS, COMPOUND_EXPRESSIONS, EXPRESSIONS

Decide = Callable[..., Decision]
Write = Callable[..., Path]
Digests = Callable[[Path], dict[str, str]]
Command = Callable[..., CompletedProcess[str]]


def first_with(dataset: DatasetFolder, mask: str, split: str = "train", database: str | None = None) -> int:
    labels = dataset.labels(split).with_row_index("row")
    found = labels.filter(pl.col(mask))
    return int((found.filter(pl.col("database") == database) if database else found)["row"][0])


def expression_at(dataset: DatasetFolder, row: int, split: str = "train") -> str:
    return EXPRESSIONS[open_dataset(dataset.path).labels(split)["expression"][row]]


def another(name: str) -> str:
    return "fear" if name != "fear" else "anger"


@pytest.fixture
def correction(dataset: DatasetFolder, decide: Decide) -> Decision:
    row = first_with(dataset, "expression_mask")
    old = expression_at(dataset, row)
    return decide("train", row, "correct", {"expression": old}, {"expression": another(old)})


def test_a_correction_changes_one_label_of_one_row_and_nothing_else(
    dataset: DatasetFolder, correction: Decision, write: Write
) -> None:
    before = dataset.labels("train")
    report = apply_decisions(dataset.path, write(correction))
    after = report.dataset.labels("train")
    differing = (before["expression"] != after["expression"]).arg_true().to_list()
    assert [after["uid"][row] for row in differing] == [correction.uid]
    assert before.drop("expression").equals(after.drop("expression"))
    assert expression_at(dataset, differing[0]) == correction.new.expression
    assert report.version == 1
    assert report.dataset.fingerprint != dataset.fingerprint


def test_every_kind_of_label_can_be_set_and_masked(dataset: DatasetFolder, decide: Decide, write: Write) -> None:
    row = first_with(dataset, "expression_mask", database="expw")
    old = expression_at(dataset, row)
    everything = {"va": [0.25, -1.0], "au": {"12": 1, "4": 0}, "au_intensity": {"12": 2.0}}
    nothing = {"va": None, "au": {"12": None, "4": None}, "au_intensity": {"12": None}}
    given = decide("train", row, "correct", {**nothing, "expression": old}, {**everything, "expression": another(old)})
    taken = decide("train", row, "mask", {**everything, "expression": another(old)}, {**nothing, "expression": None})
    apply_decisions(dataset.path, write(given))
    labels = open_dataset(dataset.path).labels("train")[row]
    slot = ACTION_UNIT_SLOTS[12]
    assert (labels["valence"][0], labels["arousal"][0], labels["va_mask"][0]) == (0.25, -1.0, True)
    assert (labels["au"][0][slot], labels["au_intensity"][0][slot]) == (1, 2.0)
    assert labels["au_mask"][0].to_list().count(True) == 2
    apply_decisions(dataset.path, write(given, taken))
    labels = open_dataset(dataset.path).labels("train")[row]
    assert labels["expression"][0] == -1
    assert not labels["expression_mask"][0]
    assert np.isnan(labels["valence"][0])
    assert labels["au"][0][slot] == -1
    assert not labels["au_mask"][0].any()


@pytest.mark.parametrize(
    ("labels", "because"),
    [
        ({"au": {"39": 1}}, "no merged database codes this label"),
        ({"compound_expression": "angrily disgusted"}, "no merged database codes this label"),
        ({"au_intensity": {"12": 2.5}}, "all intensities of the dataset are whole steps, this one is not"),
    ],
    ids=["unit", "compound", "step"],
)
def test_a_label_that_the_dataset_has_no_place_for_is_a_misfit(
    dataset: DatasetFolder, decide: Decide, write: Write, digests: Digests, labels: dict[str, Any], because: str
) -> None:
    before = digests(dataset.path)
    row = first_with(dataset, "expression_mask", database="expw")
    nothing = {name: dict.fromkeys(value) if isinstance(value, dict) else None for name, value in labels.items()}
    with pytest.raises(MisfitsError, match=rf"\(correct\): {because}\n"):
        apply_decisions(dataset.path, write(decide("train", row, "correct", nothing, labels)))
    assert digests(dataset.path) == before


def test_a_compound_expression_is_set_corrected_and_masked(
    dataset: DatasetFolder, decide: Decide, write: Write, demo_world: Path, tmp_path: Path
) -> None:
    dataset = reveal(dataset.path, demo_world / "truth.parquet", tmp_path / "truth")
    labels = dataset.labels("train").with_row_index("row")
    row = int(labels.filter(pl.col("expression_mask") & ~pl.col("compound_expression_mask"))["row"][0])

    def named(name: str | None) -> dict[str, str | None]:
        return {"compound_expression": name}

    def stored() -> tuple[int, bool]:
        labels = open_dataset(dataset.path).labels("train")
        check_rules(labels)
        return labels["compound_expression"][row], labels["compound_expression_mask"][row]

    before = dataset.labels("train")
    given = decide("train", row, "correct", named(None), named("angrily disgusted"))
    again = decide("train", row, "correct", named("angrily disgusted"), named("happily surprised"))
    taken = decide("train", row, "mask", named("happily surprised"), named(None))
    apply_decisions(dataset.path, write(given))
    assert stored() == (COMPOUND_EXPRESSIONS.index("angrily disgusted"), True)
    changed = ["compound_expression", "compound_expression_mask"]
    assert before.drop(changed).equals(open_dataset(dataset.path).labels("train").drop(changed))
    apply_decisions(dataset.path, write(given, again))
    assert stored() == (0, True)
    apply_decisions(dataset.path, write(given, again, taken))
    assert stored() == (-1, False)


def test_undo_restores_every_byte(
    dataset: DatasetFolder, correction: Decision, decide: Decide, write: Write, digests: Digests
) -> None:
    original = digests(dataset.path)
    apply_decisions(dataset.path, write(correction))
    first = digests(dataset.path)
    row = first_with(dataset, "va_mask", "validation")
    stored = [
        float(str(np.float32(value))) for value in dataset.labels("validation").select("valence", "arousal").row(row)
    ]
    apply_decisions(dataset.path, write(correction, decide("validation", row, "mask", {"va": stored}, {"va": None})))
    assert undo_version(dataset.path)[1] == 1
    assert digests(dataset.path) == first
    assert undo_version(dataset.path)[1] == 0
    assert digests(dataset.path) == original
    with pytest.raises(DataError, match="has the labels of its build: no decisions were applied"):
        undo_version(dataset.path)


def test_only_the_files_of_changed_labels_are_written(
    dataset: DatasetFolder, correction: Decision, write: Write
) -> None:
    files = {path: path.stat().st_ino for path in dataset.path.rglob("*.arrow")}
    apply_decisions(dataset.path, write(correction))
    replaced = {path for path, inode in files.items() if path.stat().st_ino != inode}
    assert len(replaced) == 1
    assert next(iter(replaced)).parent.name == "labels"


def test_applying_the_same_file_twice_changes_nothing(
    dataset: DatasetFolder, correction: Decision, write: Write, digests: Digests
) -> None:
    apply_decisions(dataset.path, write(correction))
    after = digests(dataset.path)
    report = apply_decisions(dataset.path, write(correction))
    assert (report.matching.already, report.matching.changes, report.version) == (1, [], 1)
    assert digests(dataset.path) == after


def test_who_when_why_old_and_new_are_kept(dataset: DatasetFolder, correction: Decision, write: Write) -> None:
    apply_decisions(dataset.path, write(correction))
    (change,) = read_changes(open_dataset(dataset.path)).to_dicts()
    assert (change["who"], change["when"], change["why"]) == ("ada", "2026-11-22T10:00:00+00:00", "by hand")
    assert json.loads(change["old"]) == {"expression": correction.old.expression}
    assert json.loads(change["new"]) == {"expression": correction.new.expression}
    assert (change["version"], change["uid"]) == (1, correction.uid)


def test_rows_are_found_by_picture_and_face_whatever_their_uid(
    dataset: DatasetFolder, correction: Decision, write: Write
) -> None:
    renamed = correction.model_copy(update={"uid": "expw:of/another/dataset.jpg#0", "dataset": "0" * 16})
    report = apply_decisions(dataset.path, write(renamed))
    assert [change.uid for change in report.matching.changes] == [correction.uid]
    assert report.matching.foreign == 1


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        ({"image_digest": "a" * 64}, "the row of this uid has another picture"),
        ({"image_digest": "a" * 64, "uid": "expw:none"}, "no row has this picture and face"),
        ({"face": 99}, "the row of this uid has another picture"),
        ({"database": "bp4d", "uid": "bp4d:x"}, "no row has this picture and face"),
    ],
)
def test_a_decision_that_does_not_fit_stops_all_of_them(
    dataset: DatasetFolder, correction: Decision, write: Write, digests: Digests, update: dict[str, Any], reason: str
) -> None:
    original = digests(dataset.path)
    stray = correction.model_copy(update={**update, "id": "stray"})
    with pytest.raises(
        MisfitsError, match=rf"(?s)1 of 2 decision\(s\) do not fit this dataset, nothing was applied.*{reason}"
    ):
        apply_decisions(dataset.path, write(correction, stray))
    assert digests(dataset.path) == original
    report = apply_decisions(dataset.path, write(correction, stray), fitting=True)
    assert report.matching.summary()["applied"] == 1
    assert report.matching.summary()["misfits"] == {reason: 1}


def test_a_label_that_has_changed_since_the_decision_is_not_overwritten(
    dataset: DatasetFolder, correction: Decision, decide: Decide, write: Write
) -> None:
    old, new = correction.old.expression, correction.new.expression
    assert old is not None
    third = next(name for name in EXPRESSIONS if name not in (old, new))
    rival = correction.model_copy(update={"id": "rival", "new": type(correction.new)(expression=third)})
    apply_decisions(dataset.path, write(correction))
    with pytest.raises(MisfitsError, match="no longer the one that was decided about"):
        apply_decisions(dataset.path, write(rival, name="of-another.jsonl"))


def test_a_chain_of_decisions_is_taken_up_where_the_labels_stand(
    dataset: DatasetFolder, correction: Decision, write: Write
) -> None:
    labels = type(correction.new)
    third = next(name for name in EXPRESSIONS if name not in (correction.old.expression, correction.new.expression))
    then = correction.model_copy(update={"id": "then", "old": correction.new, "new": labels(expression=third)})
    apply_decisions(dataset.path, write(correction))
    report = apply_decisions(dataset.path, write(correction, then))
    assert (report.matching.already, [change.decision.id for change in report.matching.changes]) == (1, ["then"])
    undo_version(dataset.path)
    undo_version(dataset.path)
    assert apply_decisions(dataset.path, write(correction, then)).version == 1
    expressions = open_dataset(dataset.path).labels("train").filter(pl.col("uid") == correction.uid)["expression"]
    assert [EXPRESSIONS[code] for code in expressions] == [third]


def test_a_file_with_a_bad_line_is_refused_whole(
    dataset: DatasetFolder, correction: Decision, write: Write, digests: Digests
) -> None:
    original = digests(dataset.path)
    file = write(correction)
    file.write_text(file.read_text() + '{"action": "correct"}\n')
    with pytest.raises(DecisionsError, match=r"decisions\.jsonl:2: id: Field required"):
        apply_decisions(dataset.path, file)
    assert digests(dataset.path) == original


def test_labels_that_break_a_rule_are_not_written(
    dataset: DatasetFolder, correction: Decision, write: Write, digests: Digests, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = digests(dataset.path)
    monkeypatch.setattr("affect_data.corrections.label_values.MISSING_CLASS", 5)
    mask = correction.model_copy(update={"action": "mask", "new": type(correction.new)(expression=None)})
    with pytest.raises(SchemaError, match="expression_is_a_class_or_masked"):
        apply_decisions(dataset.path, write(mask))
    apply_decisions(dataset.path, write())
    assert digests(dataset.path) == original


def test_what_was_made_from_the_labels_before_is_named_as_stale_and_nothing_else(
    dataset: DatasetFolder, correction: Decision, write: Write, affect_data: Command
) -> None:
    described = Features({"x": Value("float32")})
    for kind in (SOFT_LABELS, FEATURES, FOLDS, BALANCE):
        tables = [(split, pa.table({"x": np.zeros(dataset.rows(split), np.float32)})) for split in dataset.splits]
        dataset = add_group(dataset, kind.group("t"), tables, described, {"made_from": kind.made_from(dataset)})
    done = affect_data("review", "apply", write(correction), dataset.path)
    assert done.returncode == 0
    assert "refused until they are made again: balance.t\n" in done.stdout
    assert list(stale_groups(open_dataset(dataset.path))) == ["balance.t"]
    before, after = dataset.manifest.fingerprints, open_dataset(dataset.path).manifest.fingerprints
    assert (after.pictures, after.people) == (before.pictures, before.people)
    assert after.labels != before.labels
    undone = affect_data("review", "undo", dataset.path)
    assert "labels are version 0 again" in undone.stdout
    assert "balance.t" not in undone.stdout
    assert open_dataset(dataset.path).manifest.fingerprints == before


CORRECTING = """
from pathlib import Path
from affect_data.corrections.versions import apply_decisions, undo_version

killed_at(int(sys.argv[1]))
if sys.argv[2] == "apply":
    apply_decisions(sys.argv[3], Path(sys.argv[4]))
else:
    undo_version(sys.argv[3])
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["apply", "undo"])
def test_a_killed_command_leaves_labels_that_can_be_read_and_is_put_right_by_the_next(
    dataset: DatasetFolder, correction: Decision, decide: Decide, write: Write, digests: Digests, command: str
) -> None:
    row = first_with(dataset, "expression_mask", "validation")
    old = expression_at(dataset, row, "validation")
    file = write(correction, decide("validation", row, "mask", {"expression": old}, {"expression": None}))
    original = digests(dataset.path)
    labels = {dataset.fingerprint: dataset.labels("validation")}
    applied = apply_decisions(dataset.path, file).dataset
    labels[applied.fingerprint] = applied.labels("validation")
    for count in range(1, 200, 7):
        if command == "apply":
            undo_version(dataset.path)
        if run_python(["-c", KILLED_AT + CORRECTING, count, command, dataset.path, file]).returncode == 0:
            break
        left = open_dataset(dataset.path)
        assert left.labels("validation").equals(labels[left.fingerprint])
        left.load("train", ["labels"])
        apply_decisions(dataset.path, file)
    assert count > 20
    apply_decisions(dataset.path, file)
    undo_version(dataset.path)
    assert digests(dataset.path) == original


@pytest.mark.slow
def test_an_undo_that_is_started_again_after_a_kill_undoes_one_version(
    dataset: DatasetFolder, correction: Decision, decide: Decide, write: Write, digests: Digests
) -> None:
    row = first_with(dataset, "expression_mask", "validation")
    old = expression_at(dataset, row, "validation")
    apply_decisions(dataset.path, write(correction, name="first.jsonl"))
    first = digests(dataset.path)
    file = write(correction, decide("validation", row, "mask", {"expression": old}, {"expression": None}))
    for count in range(1, 200, 5):
        apply_decisions(dataset.path, file)
        if run_python(["-c", KILLED_AT + CORRECTING, count, "undo", dataset.path, file]).returncode == 0:
            break
        assert undo_version(dataset.path)[1] == 1
        assert digests(dataset.path) == first
    assert count > 20


# ---------------------------------------------------------------- the next build


def test_a_build_with_the_decisions_gives_the_labels_that_apply_gives(
    dataset: DatasetFolder,
    correction: Decision,
    write: Write,
    demo_roots: dict[str, Path],
    demo_recipe: DataRecipe,
    tmp_path: Path,
) -> None:
    file = write(correction, correction.model_copy(update={"id": "gone", "image_digest": "b" * 64}))
    applied = apply_decisions(dataset.path, file, fitting=True)
    recipe = demo_recipe.model_copy(update={"decisions": (str(file),)})
    report = build(recipe, demo_roots, tmp_path / "again")
    assert report.dataset.fingerprint == applied.dataset.fingerprint != dataset.fingerprint
    assert report.decisions is not None
    assert report.decisions["applied"] == 1
    assert report.decisions["misfits"] == {"the row of this uid has another picture": 1}
    for split in report.dataset.splits:
        check_rules(report.dataset.labels(split))
    again = build(recipe, demo_roots, tmp_path / "again")
    assert again.unchanged
    assert again.decisions == report.decisions


def test_a_build_that_dies_after_correcting_labels_does_not_leave_them_to_the_next(
    dataset: DatasetFolder,
    correction: Decision,
    write: Write,
    demo_roots: dict[str, Path],
    demo_recipe: DataRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dies(*_: object) -> None:
        raise InterruptedError

    recipe = demo_recipe.model_copy(update={"decisions": (str(write(correction)),)})
    with monkeypatch.context() as patch:
        patch.setattr("affect_data.build.build.seal", dies)
        with pytest.raises(InterruptedError):
            build(recipe, demo_roots, tmp_path / "again")
    assert (tmp_path / ".again.building").is_dir()
    report = build(demo_recipe, demo_roots, tmp_path / "again")
    assert report.shards_reused == report.shards - 1
    assert report.dataset.fingerprint == dataset.fingerprint


def test_a_build_does_not_take_a_corrected_dataset_for_its_own(
    dataset: DatasetFolder,
    correction: Decision,
    write: Write,
    demo_roots: dict[str, Path],
    demo_recipe: DataRecipe,
) -> None:
    apply_decisions(dataset.path, write(correction))
    with pytest.raises(
        DataError, match=r"holds another dataset \(1 decision\(s\) were applied to it that the recipe does not name\)"
    ):
        build(demo_recipe, demo_roots, dataset.path)
    undo_version(dataset.path)
    assert build(demo_recipe, demo_roots, dataset.path).unchanged


def test_a_recipe_names_decisions_beside_itself(tmp_path: Path, affect_data: Command) -> None:
    (tmp_path / "data.yaml").write_text("databases: {expw: {}}\ndecisions: [mine.jsonl]\n")
    refused = affect_data("check", tmp_path / "data.yaml")
    assert refused.returncode == 2
    assert f"data.yaml:2: decisions[0]: the file '{tmp_path / 'mine.jsonl'}' does not exist" in refused.stderr
    (tmp_path / "mine.jsonl").write_text("")
    assert read_recipe(tmp_path / "data.yaml").decisions == (str(tmp_path / "mine.jsonl"),)
    plain = recipe_from({"databases": {"expw": {}}}, "x")
    assert plain.digest() == read_recipe(tmp_path / "data.yaml").digest()


def test_decisions_of_other_databases_say_that_none_fits(
    dataset: DatasetFolder, make_expw: Callable[..., Path], tmp_path: Path, correction: Decision, write: Write
) -> None:
    assert "expw" in DATABASES
    root = make_expw(tmp_path / "expw")
    report = build(recipe_from({"databases": {"expw": {}}}, "x"), {"expw": root}, tmp_path / "small")
    with pytest.raises(MisfitsError, match="1 of 1"):
        apply_decisions(report.dataset.path, write(correction))
    shutil.rmtree(tmp_path / "small")
