"""The file of decisions: strict, append-only, whole after a crash."""

import json
from pathlib import Path

import pytest

from affect_data.corrections.decisions import Decision, DecisionFile, DecisionsError, Labels, in_force, read_decisions
from affect_data.errors import UsageError

GOOD = {
    "id": "a",
    "uid": "expw:x.jpg#0",
    "split": "train",
    "image_digest": "0" * 64,
    "face": 0,
    "database": "expw",
    "dataset": "f" * 16,
    "action": "correct",
    "old": {"expression": "anger"},
    "new": {"expression": "fear"},
    "who": "ada",
    "when": "2026-11-22T10:00:00+00:00",
}


def line(**changes: object) -> str:
    return json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not None}) + "\n"


def test_a_decision_survives_the_file(tmp_path: Path) -> None:
    labels = {"expression": None, "va": [0.3, -0.2], "au": {"12": 1, "4": None}, "au_intensity": {"12": None}}
    old = {"expression": "fear", "va": None, "au": {"12": None, "4": 0}, "au_intensity": {"12": 2.5}}
    (tmp_path / "d").write_text(line(old=old, new=labels))
    (decision,) = read_decisions(tmp_path / "d")
    assert decision.new.fields() == {
        ("expression", 0): None,
        ("va", 0): (0.3, -0.2),
        ("au", 12): 1,
        ("au", 4): None,
        ("au_intensity", 12): None,
    }
    assert Labels.of_fields(decision.new.fields()) == decision.new
    assert json.loads(decision.to_line())["new"] == labels


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"new": {"expression": "angst"}}, "no expression; known: neutral"),
        (
            {"new": {"compound_expression": "happily bored"}, "old": {"compound_expression": None}},
            r"new\.compound_expression: .*no compound expression; known: happily surprised",
        ),
        ({"new": {"va": [2, 0]}, "old": {"va": None}}, r"new\.va\.0: Input should be less than or equal to 1"),
        ({"new": {"au": {"3": 1}}, "old": {"au": {"3": 0}}}, "AU3 is no action unit"),
        ({"new": {"au": {"12": 2}}, "old": {"au": {"12": 0}}}, r"new\.au\.12: Input should be 0 or 1"),
        ({"old": {"va": None}}, "name different labels"),
        ({"new": {"expression": "anger"}}, "are the same"),
        ({"action": "mask"}, "gives a label"),
        ({"action": "keep"}, "has no `old` and `new`"),
        ({"new": None, "old": None}, "needs `old` and `new`"),
        ({"action": "delete"}, "action: Input should be 'keep'"),
        ({"image_digest": "abc"}, "image_digest: String should match"),
        ({"when": "yesterday"}, "when: .*Invalid isoformat"),
        ({"who": ""}, "who: String should have at least 1"),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"face": "0"}, "face: Input should be a valid integer"),
        ({"action": "undo", "new": None, "old": None, "undoes": "zzz"}, "undoes 'zzz', which stands in no line before"),
    ],
)
def test_a_line_edited_into_nonsense_is_named(tmp_path: Path, changes: dict[str, object], because: str) -> None:
    (tmp_path / "d").write_text("\n" + line(id="fine") + line(**changes))
    with pytest.raises(
        DecisionsError, match=rf"(?s)1 line\(s\) that are no decisions, nothing was applied.*d:3: .*{because}"
    ):
        read_decisions(tmp_path / "d")


def test_a_compound_expression_is_decided_by_name(tmp_path: Path) -> None:
    new, old = {"compound_expression": "sadly angry"}, {"compound_expression": None}
    (tmp_path / "d").write_text(line(old=old, new=new))
    (decision,) = read_decisions(tmp_path / "d")
    assert decision.new.fields() == {("compound_expression", 0): "sadly angry"}
    assert Labels.of_fields(decision.new.fields()) == decision.new


def test_all_bad_lines_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("not json\n" + line() + line() + "[]\n")
    with pytest.raises(DecisionsError, match="3 line") as caught:
        read_decisions(tmp_path / "d")
    assert [number for number, _ in caught.value.mistakes] == [1, 3, 4]
    assert "the id 'a' stands twice" in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_decisions(tmp_path / "none")
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DecisionsError, match="no UTF-8 text"):
        read_decisions(tmp_path / "b")


def test_an_undone_decision_is_not_in_force_and_an_undone_undo_is_void() -> None:
    keep = {"action": "keep", "old": None, "new": None}
    undo = {"action": "undo", "old": None, "new": None}
    lines = [line(id="a"), line(id="b", **keep), line(id="c", undoes="a", **undo)]
    decisions = [Decision.model_validate_json(text) for text in lines]
    assert [decision.id for decision in in_force(decisions)] == ["b"]
    decisions.append(Decision.model_validate_json(line(id="d", undoes="c", **undo)))
    assert [decision.id for decision in in_force(decisions)] == ["a", "b"]


def test_two_files_open_at_once_see_each_others_decisions(tmp_path: Path) -> None:
    first, second = DecisionFile(tmp_path / "d"), DecisionFile(tmp_path / "d")
    first.append([Decision.model_validate_json(line(id="a"))])
    second.append([Decision.model_validate_json(line(id="b"))])
    assert [decision.id for decision in first.refresh()] == ["a", "b"]
    assert [decision.id for decision in second.refresh()] == ["a", "b"]
    assert first.refresh() == []


@pytest.mark.parametrize(("tail", "kept"), [('{"id": "b", "uid', ["a"]), (line(id="b").rstrip("\n"), ["a", "b"])])
def test_a_last_line_that_a_crash_has_cut_is_removed_and_a_whole_one_kept(
    tmp_path: Path, tail: str, kept: list[str]
) -> None:
    (tmp_path / "d").write_text(line(id="a") + tail)
    file = DecisionFile(tmp_path / "d")
    file.append([Decision.model_validate_json(line(id="c"))])
    assert [decision.id for decision in read_decisions(tmp_path / "d")] == [*kept, "c"]


def test_decisions_are_flushed_before_they_are_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr("os.fsync", lambda descriptor: flushed.append(descriptor))
    DecisionFile(tmp_path / "d").append([Decision.model_validate_json(line())])
    assert len(flushed) == 1
