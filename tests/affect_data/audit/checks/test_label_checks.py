"""Checks of single labels: each is given planted defects among right rows, and must find those and no other."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from affect_data.audit.base import Audit, AuditedDataset
from affect_data.audit.checks.annotators import AnnotatorDisagreement
from affect_data.audit.checks.au_expression import ActionUnitExpression
from affect_data.audit.checks.au_va import ActionUnitValence
from affect_data.audit.checks.codes import Codes, Scale
from affect_data.audit.checks.expression_va import ExpressionValenceArousal, fitted_cloud, plane_probabilities
from affect_data.audit.checks.occurrence_intensity import OccurrenceIntensity
from affect_data.audit.checks.pain import PainIdentity, contradicts_pain_score, pain_score
from affect_data.dataset.writing import add_group
from affect_data.vocabulary import EXPRESSION_ACTION_UNITS

Find = Callable[..., pl.DataFrame]


def of(found: pl.DataFrame) -> list[str]:
    return sorted(set(found["uid"]))


def evidence_of(found: pl.DataFrame, key: str) -> list[object]:
    return [entry[key] for entry in found["evidence"]]


def test_expressions_on_the_wrong_side_of_valence_are_found(find: Find) -> None:
    wrong = [
        ("happiness", (-0.4, 0.1), 0.5 + 0.5 * 0.4),
        ("sadness", (0.6, -0.2), 0.5 + 0.5 * 0.6),
        ("neutral", (0.6, 0.8), 0.5 + 0.5 * (1.0 - 0.5) / (2**0.5 - 0.5)),
        ("anger", (0.65, 0.5), 0.5 + 0.5 * (0.65 - 0.3) / 0.7),
    ]
    right = [
        ("happiness", (0.4, 0.1)),
        ("sadness", (-0.6, -0.2)),
        ("neutral", (0.3, 0.39)),
        ("anger", (0.25, 0.5)),
        ("surprise", (-0.9, 0.9)),
        ("happiness", (0.0, 0.0)),
        (None, (-0.9, 0.0)),
        ("happiness", None),
    ]
    rows = [{"uid": f"wrong{i}", "expression": e, "va": va} for i, (e, va, _) in enumerate(wrong)]
    rows += [{"uid": f"right{i}", "expression": e, "va": va} for i, (e, va) in enumerate(right)]
    found = find(ExpressionValenceArousal, {"train": rows}).sort("uid")
    assert of(found) == ["wrong0", "wrong1", "wrong2", "wrong3"]
    assert found["score"].to_list() == pytest.approx([score for _, _, score in wrong], abs=1e-6)
    assert found["evidence"][0]["expression"] == "happiness"


def test_smiles_with_negative_and_grimaces_with_positive_valence_are_found(find: Find) -> None:
    rows = [
        {"uid": "smile", "au": {6: 1, 12: 1}, "va": (-0.65, 0.0)},
        {"uid": "disgust", "au": {4: 1, 9: 1}, "va": (0.5, 0.0)},
        {"uid": "half a smile", "au": {6: 0, 12: 1}, "va": (-0.9, 0.0)},
        {"uid": "a little", "au": {6: 1, 12: 1}, "va": (-0.2, 0.0)},
        {"uid": "laughing", "au": {4: 1, 9: 1, 12: 1}, "va": (0.9, 0.5)},
        {"uid": "no va", "au": {6: 1, 12: 1}},
    ]
    found = find(ActionUnitValence, {"train": rows})
    assert of(found) == ["disgust", "smile"]
    assert found.filter(pl.col("uid") == "smile")["score"].item() == pytest.approx(0.75, abs=1e-6)


def faces_by_relation(count: int, rng: np.random.Generator, expressions: tuple[str, ...]) -> list[dict[str, object]]:
    coded = (1, 2, 4, 6, 9, 10, 12, 15, 17, 25, 26)
    rows = []
    for number in range(count):
        expression = expressions[number % len(expressions)]
        shares = EXPRESSION_ACTION_UNITS.get(expression, {})
        au = {unit: int(rng.random() < 0.92 * shares.get(unit, 0.0) + 0.03) for unit in coded}
        rows.append({"uid": f"{number:04d}", "expression": expression, "au": au})
    return rows


def test_flipped_expressions_are_found_by_what_the_database_says_of_its_action_units(find: Find) -> None:
    rng = np.random.default_rng(0)
    names = ("happiness", "sadness", "surprise", "disgust")
    rows = faces_by_relation(800, rng, names)
    flipped = {f"{i:04d}" for i in rng.choice(800, 40, replace=False)}
    for row in rows:
        if row["uid"] in flipped:
            row["expression"] = names[(names.index(str(row["expression"])) + 1 + int(rng.integers(3))) % 4]
    found = set(find(ActionUnitExpression, {"train": rows})["uid"])
    assert len(found & flipped) / len(flipped) >= 0.9
    assert len(found & flipped) / len(found) >= 0.8


def test_a_database_with_one_expression_or_few_faces_contradicts_nothing(find: Find) -> None:
    rows = faces_by_relation(100, np.random.default_rng(1), ("happiness",))
    assert find(ActionUnitExpression, {"train": rows}).is_empty()

    def with_a_smile_called_sad(count: int) -> list[dict[str, object]]:
        faces = [
            {
                "expression": name,
                "au": {6: int(name == "happiness"), 12: int(name == "happiness"), 15: int(name == "sadness")},
            }
            for name in ("happiness", "sadness")
            for _ in range(count)
        ]
        return [*faces, {"uid": "smile", "expression": "sadness", "au": {6: 1, 12: 1, 15: 0}}]

    assert find(ActionUnitExpression, {"train": with_a_smile_called_sad(8)}).is_empty()
    assert of(find(ActionUnitExpression, {"train": with_a_smile_called_sad(12)})) == ["smile"]


def test_an_action_unit_that_says_what_another_said_is_not_counted_twice(find: Find) -> None:
    # AU12 tells happy faces from sad ones in four of five cases: alone it makes no label improbable, however often it is repeated.
    rng = np.random.default_rng(0)
    rows = []
    for number in range(400):
        happy = number % 2 == 0
        smiles = int((rng.random() < 0.8) == happy)
        rows.append(
            {"expression": "happiness" if happy else "sadness", "au": dict.fromkeys((6, 7, 12, 25, 26), smiles)}
        )
    assert find(ActionUnitExpression, {"train": rows}).is_empty()


def test_occurrence_that_contradicts_intensity_is_found_at_the_threshold_of_the_database(find: Find) -> None:
    rows = [
        {"database": "disfa", "au": {12: int(level >= 2)}, "au_intensity": {12: float(level)}}
        for level in (0, 1, 2, 3, 4, 5) * 5
    ]
    rows += [
        {"database": "disfa", "uid": "present at 0", "au": {12: 1}, "au_intensity": {12: 0.0}},
        {"database": "disfa", "uid": "present at 1", "au": {12: 1}, "au_intensity": {12: 1.0}},
        {"database": "disfa", "uid": "absent at 4", "au": {12: 0}, "au_intensity": {12: 4.0}},
        {"database": "disfa", "uid": "no intensity", "au": {12: 1}},
    ]
    found = find(OccurrenceIntensity, {"train": rows}).sort("uid")
    assert found["uid"].to_list() == ["absent at 4", "present at 0", "present at 1"]
    assert found["score"].to_list() == pytest.approx([0.8, 1.0, 0.6])
    assert evidence_of(found, "threshold") == [2.0, 2.0, 2.0]


def test_the_pain_score_is_the_published_sum() -> None:
    # The file of the UNBC-McMaster readme: AU4 C, AU6 D, AU9 B, AU43 present: 3 + 4 + 2 + 1.
    units = {4: 3.0, 6: 4.0, 7: 2.0, 9: 2.0, 10: 0.0, 43: 1.0}
    intensities = {unit: np.array([level, np.nan], np.float32) for unit, level in units.items()}
    assert pain_score(intensities)[0] == 10.0
    assert np.isnan(pain_score(intensities)[1])
    assert contradicts_pain_score(intensities, np.array([9.0, 9.0], np.float32)).tolist() == [True, False]
    assert contradicts_pain_score(intensities, np.array([10.0, np.nan], np.float32)).tolist() == [False, False]


def test_pain_scores_that_are_not_the_sum_are_found_where_a_dataset_has_them(
    make_dataset: Callable[..., object],
) -> None:
    from datasets import Features, Value

    levels = {4: 1.0, 6: 2.0, 7: 3.0, 9: 0.0, 10: 0.0, 43: 0.0}
    folder = make_dataset({"train": [{"uid": u, "au_intensity": levels} for u in ("right", "wrong", "none")]})
    assert "UNBC" in PainIdentity().not_applicable(AuditedDataset(folder))  # type: ignore[arg-type]
    scores = pa.table({"pspi": pa.array([4.0, 5.0, float("nan")], pa.float32())})
    folder = add_group(folder, "pspi", [("train", scores)], Features({"pspi": Value("float32")}), {})  # type: ignore[arg-type]
    dataset = AuditedDataset(folder)
    assert PainIdentity().not_applicable(dataset) == ""
    assert PainIdentity().find(dataset)["uid"].to_list() == ["wrong"]


def test_votes_without_a_majority_and_labels_against_the_votes_are_found(find: Find) -> None:
    rows = [
        {"uid": "clear", "expression": "fear", "votes": {"fear": 0.8, "surprise": 0.2}},
        {"uid": "even", "votes": {"fear": 0.5, "surprise": 0.5}},
        {"uid": "against", "expression": "surprise", "votes": {"fear": 0.8, "surprise": 0.2}},
        {"uid": "no face", "votes": {"fear": 0.1}},
        {"uid": "no votes", "expression": "fear"},
    ]
    found = find(AnnotatorDisagreement, {"train": rows}).sort("uid")
    assert found["uid"].to_list() == ["against", "even", "no face"]
    assert found["score"].to_list()[:2] == pytest.approx([1.0, 1 / np.log2(10)])
    assert evidence_of(found, "top") == ["fear", "fear", "none of them"]
    assert found["evidence"][1]["entropy_bits"] == pytest.approx(1.0)


def test_a_dataset_without_votes_is_not_checked_for_disagreement(make_dataset: Callable[..., object]) -> None:
    dataset = AuditedDataset(make_dataset({"train": [{"expression": "fear"}]}))  # type: ignore[arg-type]
    assert AnnotatorDisagreement().not_applicable(dataset) == "no database has annotators' votes"


def test_sentinels_and_foreign_codes_are_errors(find: Find) -> None:
    rows = [
        {"uid": "right", "expression": "fear", "va": (0.1, 0.2), "au": {12: 1}},
        {"uid": "sentinel", "raw": {"valence": -5.0, "arousal": -5.0, "va_mask": True}},
        {"uid": "mask without label", "raw": {"expression_mask": True}},
        {"uid": "label without mask", "expression": "fear", "raw": {"expression_mask": False}},
        {"uid": "uncoded unit", "database": "disfa", "au": {45: 1}},
        {"uid": "uncoded va", "database": "disfa", "va": (0.1, 0.1)},
        {"uid": "twice", "subject": "a"},
        {"uid": "twice", "subject": "b"},
    ]
    found = find(Codes, {"train": rows})
    assert of(found) == ["label without mask", "mask without label", "sentinel", "twice", "uncoded unit", "uncoded va"]
    assert set(found["severity"]) == {"error"}
    assert found.filter(pl.col("uid") == "uncoded unit")["evidence"][0] == {
        "rule": "database_codes_it",
        "found": "AU45",
    }


def test_a_range_that_was_not_converted_is_found_once_a_database(find: Find) -> None:
    rng = np.random.default_rng(0)
    right = [{"va": tuple(rng.uniform(-1, 1, 2))} for _ in range(250)]
    divided = [{"database": "afew_va", "va": tuple(rng.uniform(-0.1, 0.1, 2))} for _ in range(250)]
    positive = [{"database": "affectnet", "va": tuple(rng.uniform(0, 1, 2))} for _ in range(250)]
    found = find(Scale, {"train": right + divided + positive})
    said = sorted((e["database"], e["dimension"]) for e in found["evidence"])
    assert said == [("afew_va", "arousal"), ("afew_va", "valence"), ("affectnet", "valence")]


@pytest.mark.parametrize(
    "audit", [ExpressionValenceArousal, ActionUnitExpression, ActionUnitValence, OccurrenceIntensity]
)
def test_rows_without_labels_have_no_findings(find: Find, audit: type[Audit]) -> None:
    assert find(audit, {"train": [{}, {}], "validation": [{}]}).is_empty()


def faces_in_the_plane(rng: np.random.Generator) -> list[dict[str, object]]:
    centres = {"surprise": (0.2, 0.8), "sadness": (-0.7, -0.4), "anger": (-0.6, 0.7), "happiness": (0.8, 0.3)}
    return [
        {"uid": f"{name}{i}", "expression": name, "va": tuple(np.clip(rng.normal(centre, 0.12), -1, 1))}
        for name, centre in centres.items()
        for i in range(60)
    ]


def test_expressions_far_from_where_their_database_has_them_are_found(find: Find) -> None:
    rows = faces_in_the_plane(np.random.default_rng(0))
    # No rule speaks of surprise, nor of anger with a negative valence: only the database itself does.
    rows += [{"uid": "sad", "expression": "surprise", "va": (-0.7, -0.4)}]
    rows += [{"uid": "quiet", "expression": "anger", "va": (-0.7, -0.5)}]
    found = find(ExpressionValenceArousal, {"train": rows})
    assert {"sad", "quiet"} <= set(found["uid"])
    assert len(found) <= 4
    assert set(evidence_of(found.filter(pl.col("uid").is_in(["sad", "quiet"])), "likelier")) == {"sadness"}
    assert (found.filter(pl.col("uid") == "sad")["score"] > 0.95).all()


def test_where_a_class_is_more_probable_follows_bayes() -> None:
    # Two classes of equal spread, apart in valence: the log odds of two normal densities are linear in valence and blind to arousal.
    line = np.linspace(-1, 1, 41)
    cloud = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2) * 0.3
    apart = np.array([0.25, 0.0])
    places = np.concatenate([cloud - apart, cloud + apart])
    probability = plane_probabilities(places, [fitted_cloud(cloud - apart), fitted_cloud(cloud + apart)])
    odds = np.log(probability[:, 0] / probability[:, 1])
    slope = (odds @ places[:, 0]) / (places[:, 0] @ places[:, 0])
    assert slope < -5
    assert odds == pytest.approx(slope * places[:, 0], abs=1e-6)
    assert probability.sum(axis=1) == pytest.approx(1.0)


def test_few_faces_of_an_expression_say_nothing_about_the_plane(find: Find) -> None:
    rows = [row for row in faces_in_the_plane(np.random.default_rng(0)) if str(row["uid"])[-1] in "012"]
    assert find(ExpressionValenceArousal, {"train": [*rows, {"expression": "surprise", "va": (-0.7, -0.4)}]}).is_empty()
