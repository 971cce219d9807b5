import hashlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.demo.sampler import (
    CIRCUMPLEX,
    DEMO_ACTION_UNITS,
    DEMO_COMPOUND_EXPRESSIONS,
    DEMO_EXPRESSIONS,
    FREQUENCIES,
    DemoFace,
    FaceSampler,
    Style,
    relation,
)
from affect_data.vocabulary import (
    ACTION_UNITS,
    COMPOUND_EXPRESSION_ACTION_UNITS,
    COMPOUND_EXPRESSION_PARTS,
    COMPOUND_EXPRESSIONS,
    EXPRESSION_ACTION_UNITS,
    EXPRESSIONS,
)

ACTED = [expression for expression in DEMO_EXPRESSIONS if expression != "neutral"]


def shares(faces: list[DemoFace]) -> dict[int, float]:
    return {number: np.mean([face.action_unit(number) for face in faces]) for number in DEMO_ACTION_UNITS}


def with_strength(strength: float) -> DemoFace:
    face = FaceSampler(0).photograph()
    return DemoFace("a", (strength,) * len(DEMO_ACTION_UNITS), "neutral", 0.0, 0.0, face.identity, face.view)


def test_the_names_are_those_of_the_vocabulary():
    assert set(DEMO_EXPRESSIONS) <= set(EXPRESSIONS)
    assert set(DEMO_ACTION_UNITS) <= set(ACTION_UNITS)
    assert set(FREQUENCIES) == set(CIRCUMPLEX) == set(DEMO_EXPRESSIONS)
    assert sum(FREQUENCIES.values()) == pytest.approx(1.0)


def test_the_same_seed_and_calls_give_the_same_world():
    def world(seed: int) -> list[DemoFace]:
        sampler = FaceSampler(seed, label_noise=0.2)
        return [sampler.photograph(), *sampler.video(20), sampler.photograph("anna", "fear")]

    first, second = world(3), world(3)
    assert first == second
    assert [face.draw().tobytes() for face in first[:4]] == [face.draw().tobytes() for face in second[:4]]
    assert first != world(4)


def test_faces_without_a_compound_expression_are_the_same_in_every_version():
    sampler = FaceSampler(11, label_noise=0.1)
    faces = [
        *(sampler.photograph() for _ in range(40)),
        sampler.photograph("anna", "contempt"),
        *sampler.video(60),
        *(sampler.photograph() for _ in range(10)),
    ]
    told = [
        (f.subject, f.strengths, f.expression, f.valence, f.arousal, f.only_side, round(f.view.rotation, 6))
        for f in faces
    ]
    digest = hashlib.sha256(repr(told).encode()).hexdigest()
    assert digest == "42d58cc077a9602f5e7a8a1eacb6bc0c6b211cac4847311b97ea2100843c4a9c"
    assert {face.compound for face in faces} == {""}


def test_a_subject_looks_the_same_whenever_photographed():
    sampler, later = FaceSampler(5), FaceSampler(5)
    later.video(30)
    identity = sampler.photograph("anna").identity
    assert identity == sampler.photograph("anna").identity == later.photograph("anna").identity
    assert identity != sampler.photograph("bert").identity
    assert identity != FaceSampler(6).photograph("anna").identity


def test_no_name_is_given_to_two_people():
    sampler = FaceSampler(0)
    names = [*sampler.subjects(3), sampler.photograph().subject, *sampler.subjects(2), *sampler.subjects(1, "actor")]
    assert names == ["person0000", "person0001", "person0002", "person0003", "person0004", "person0005", "actor0000"]


@pytest.mark.parametrize("expression", ACTED)
def test_the_truth_follows_the_relation_table(expression):
    sampler = FaceSampler(1)
    seen = shares([sampler.photograph(expression=expression) for _ in range(500)])
    for number, share in seen.items():
        weight = relation(expression).get(number, 0.0)
        expected = 0.97 if weight == 1.0 else weight if weight else 0.03
        assert share == pytest.approx(expected, abs=0.08 if 0 < weight < 1 else 0.035), number


def test_the_relation_table_is_the_published_one_for_the_action_units_that_are_drawn():
    for expression in set(ACTED) - {"contempt"}:
        published = EXPRESSION_ACTION_UNITS[expression]
        assert relation(expression) == {n: w for n, w in published.items() if n in DEMO_ACTION_UNITS}
    assert relation("neutral") == {}


def test_the_compound_expressions_are_those_of_two_parts_with_published_action_units():
    assert set(DEMO_COMPOUND_EXPRESSIONS) == set(COMPOUND_EXPRESSIONS[:12])
    assert {part for name in DEMO_COMPOUND_EXPRESSIONS for part in COMPOUND_EXPRESSION_PARTS[name]} <= set(ACTED)


@pytest.mark.parametrize("compound", DEMO_COMPOUND_EXPRESSIONS)
def test_a_compound_face_follows_the_relation_table_of_compounds(compound):
    sampler = FaceSampler(1)
    faces = [sampler.photograph(compound=compound) for _ in range(400)]
    assert {face.compound for face in faces} == {compound}
    assert {face.expression for face in faces} <= set(COMPOUND_EXPRESSION_PARTS[compound])
    published = COMPOUND_EXPRESSION_ACTION_UNITS[compound]
    for number, share in shares(faces).items():
        weight = published.get(number, 0.0)
        expected = 0.97 if weight == 1.0 else weight if weight else 0.03
        assert share == pytest.approx(expected, abs=0.09 if 0 < weight < 1 else 0.045), number


def test_the_expression_of_a_compound_face_is_the_part_whose_action_units_act_more():
    sampler = FaceSampler(3)
    faces = [sampler.photograph(compound="happily surprised") for _ in range(100)]
    for face in faces:
        happiness = (face.strength(12) + face.strength(25) + 0.51 * face.strength(6)) / 2.51
        surprise = sum(face.strength(number) for number in (1, 2, 25, 26)) + 0.66 * face.strength(5)
        assert face.expression == ("happiness" if happiness > surprise / 4.66 else "surprise")
    assert len({face.expression for face in faces}) == 2


def test_valence_and_arousal_of_a_compound_face_lie_between_its_parts():
    sampler = FaceSampler(4)
    for compound, (first, second) in COMPOUND_EXPRESSION_PARTS.items():
        if compound not in DEMO_COMPOUND_EXPRESSIONS:
            continue
        faces = [sampler.photograph(compound=compound) for _ in range(150)]
        acting = [np.mean([face.strength(n) for n in relation(compound) if face.strength(n) > 0]) for face in faces]
        middle = (np.array(CIRCUMPLEX[first]) + np.array(CIRCUMPLEX[second])) / 2
        found = np.mean([(face.valence, face.arousal) for face in faces], axis=0)
        assert found == pytest.approx(middle * np.mean(acting), abs=0.03), compound


def test_annotators_of_a_compound_face_are_divided_between_its_parts():
    sampler, rng = FaceSampler(0), np.random.default_rng(0)
    total = Counter()
    for _ in range(200):
        total.update(sampler.photograph(compound="sadly disgusted").votes(rng))
    assert {name for name, _ in total.most_common(2)} == {"sadness", "disgust"}
    assert total["sadness"] / total["disgust"] == pytest.approx(1.0, abs=0.15)


def test_a_noisy_label_of_a_compound_face_is_another_compound_expression():
    sampler = FaceSampler(0, label_noise=0.3)
    faces = [sampler.photograph(compound="happily surprised") for _ in range(300)]
    wrong = [face for face in faces if face.compound != "happily surprised"]
    assert len(wrong) / 300 == pytest.approx(0.3, abs=0.08)
    assert {face.compound for face in wrong} <= set(DEMO_COMPOUND_EXPRESSIONS)
    assert np.mean([face.action_unit(12) for face in wrong]) > 0.9
    assert all(face.expression in COMPOUND_EXPRESSION_PARTS[face.compound] for face in faces)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"compound": "awed"}, r"the demo draws no compound expression 'awed'; it draws happily surprised, "),
        ({"compound": ""}, r"the demo draws no compound expression ''; it draws happily surprised, "),
        (
            {"compound": "sadly angry", "expression": "anger"},
            r"a face shows 'anger' or 'sadly angry', not both; name one of them",
        ),
    ],
)
def test_a_compound_that_cannot_be_drawn_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FaceSampler(0).photograph(**arguments)


def test_contempt_is_a_smile_with_a_dimple_on_one_side():
    sampler = FaceSampler(2)
    faces = [sampler.photograph(expression="contempt") for _ in range(40)]
    assert Counter(face.only_side for face in faces).keys() == {-1, 1}
    assert set(relation("contempt")) == {12, 14}
    assert {sampler.photograph(expression="happiness").only_side for _ in range(5)} == {0}


def test_expressions_are_imbalanced_as_documented():
    sampler = FaceSampler(0)
    counts = Counter(sampler.photograph().expression for _ in range(3000))
    for expression, frequency in FREQUENCIES.items():
        assert counts[expression] / 3000 == pytest.approx(frequency, abs=0.03)


def test_pressed_lips_are_never_parted():
    sampler = FaceSampler(8)
    for _ in range(1500):
        face = sampler.photograph()
        assert face.strength(24) == 0 or (face.strength(25) == 0 and face.strength(26) == 0)


@given(st.floats(0, 1))
def test_intensity_two_means_present(strength):
    face = with_strength(strength)
    for number in DEMO_ACTION_UNITS:
        assert face.action_unit(number) == int(face.intensity(number) >= 2)


@pytest.mark.parametrize(
    ("strength", "intensity"),
    [(0, 0), (0.05, 0), (0.06, 1), (0.15, 1), (0.16, 2), (0.5, 3), (0.7, 4), (0.81, 5), (1, 5)],
)
def test_intensity_grows_with_strength(strength, intensity):
    assert with_strength(strength).intensity(12) == intensity


def test_an_action_unit_that_is_not_drawn_is_refused_by_its_number():
    with pytest.raises(ValueError, match="no action unit 43"):
        with_strength(0.5).action_unit(43)


def test_valence_and_arousal_follow_the_expression_and_its_strength():
    sampler = FaceSampler(0)
    for expression, point in CIRCUMPLEX.items():
        faces = [sampler.photograph(expression=expression) for _ in range(200)]
        found = np.array([(face.valence, face.arousal) for face in faces])
        assert np.abs(found).max() <= 1.0
        assert np.sign(found.mean(axis=0)[np.abs(point) > 0.2]) == pytest.approx(
            np.sign([value for value in point if abs(value) > 0.2])
        )
    happy = [sampler.photograph(expression="happiness") for _ in range(200)]
    assert np.corrcoef([face.strength(12) for face in happy], [face.valence for face in happy])[0, 1] > 0.4


def test_label_noise_changes_labels_and_nothing_else():
    sampler = FaceSampler(0, label_noise=0.3)
    faces = [sampler.photograph(expression="happiness") for _ in range(600)]
    wrong = [face for face in faces if face.expression != "happiness"]
    assert len(wrong) / 600 == pytest.approx(0.3, abs=0.06)
    assert np.mean([face.action_unit(12) for face in wrong]) > 0.9
    assert np.mean([face.valence for face in wrong]) > 0.3
    clean = FaceSampler(0)
    assert {clean.photograph(expression="happiness").expression for _ in range(50)} == {"happiness"}


def test_annotators_agree_on_what_is_strong_and_less_on_what_is_weak():
    sampler, rng = FaceSampler(0), np.random.default_rng(0)
    faces = sorted((sampler.photograph(expression="happiness") for _ in range(300)), key=lambda face: face.strength(12))
    weak, strong = (np.mean([f.votes(rng)["happiness"] for f in part]) for part in (faces[:100], faces[-100:]))
    assert strong > weak + 1
    assert weak > 5


def test_every_annotator_has_one_vote():
    votes = FaceSampler(0).photograph().votes(np.random.default_rng(0), annotators=13)
    assert list(votes) == [*DEMO_EXPRESSIONS, "unknown"]
    assert sum(votes.values()) == 13


def test_a_video_changes_slowly():
    for seed in range(5):
        faces = FaceSampler(seed).video(80)
        assert len({(face.subject, face.identity) for face in faces}) == 1
        for before, after in pairwise(faces):
            steps = np.abs(np.subtract(before.strengths, after.strengths))
            assert steps.max() <= 0.3
            assert abs(before.view.rotation - after.view.rotation) < 6
            assert abs(before.valence - after.valence) < 0.5
            assert before.view.background == after.view.background


def test_a_video_rises_from_rest_holds_and_returns_to_rest():
    faces = FaceSampler(1).video(120)
    total = [sum(face.strengths) for face in faces]
    assert total[0] == 0
    assert sum(value == 0 for value in total) >= 6
    assert max(total) > 1
    held = [before == after > 0 for before, after in pairwise(total)]
    assert sum(held) >= 10


def test_a_frame_at_rest_is_labelled_neutral_and_one_at_the_apex_is_not():
    labels = Counter()
    for seed in range(10):
        for face in FaceSampler(seed).video(60):
            if sum(face.strengths) == 0:
                assert face.expression == "neutral"
            labels[face.expression] += 1
    assert labels["neutral"] < 0.75 * sum(labels.values())
    assert len(labels) >= 6


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_a_video_has_as_many_frames_as_asked_for(frames):
    assert len(FaceSampler(0).video(frames)) == frames


def test_a_style_sets_the_domain_of_a_database():
    laboratory = FaceSampler(0, Style(rotation=0, brightness=0.6, brightness_spread=0, clutter=0, noise=0))
    street = FaceSampler(0, Style(rotation=12, brightness=1.2, clutter=40, noise=12))
    dark = [laboratory.photograph("anna") for _ in range(20)]
    bright = [street.photograph("anna") for _ in range(20)]
    assert {face.view.rotation for face in dark} == {0.0}
    assert {len(face.view.background) for face in dark} == {1}
    assert np.std([face.view.rotation for face in bright]) > 5
    assert np.mean([np.mean(face.draw()) for face in dark]) + 30 < np.mean([np.mean(face.draw()) for face in bright])
