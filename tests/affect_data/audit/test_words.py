"""Findings in sentences."""

import json
import re

import pytest

from affect_data.audit.registry import AUDITS
from affect_data.audit.words import sentence

LINEAR = "linear model, out of fold"


@pytest.mark.parametrize(
    ("check", "score", "evidence", "words"),
    [
        ("label_errors", 0.97, {"task": "expression", "label": "surprise", "predicted": "neutral", "probability": 0.91, "by": LINEAR},
         "A linear model that has not seen this face says neutral (0.91); the label says surprise, which it gives 0.03."),
        ("label_errors", 0.9, {"task": "AU12", "label": "absent", "predicted": "present", "by": "linear model, features dino, out of fold"},
         "A linear model with features dino that has not seen this face says AU12 is present; the label says absent, which it gives 0.10."),
        ("label_errors", 0.9, {"task": "arousal", "label": 0.5, "predicted": -0.251, "by": "teacher big"},
         "Teacher big puts its arousal at -0.25; the label says 0.5."),
        ("teacher", 0.95, {"teacher": "t", "out_of_fold": False, "task": "expression", "label": "sadness", "teacher_says": "happiness"},
         "The teacher t (it may have learned this very label) says happiness; the label says sadness, which it gives 0.95 less."),
        ("teacher", 0.95, {"teacher": "t", "out_of_fold": True, "task": "AU4", "label": 1},
         "The teacher t that has not seen this face says AU4 is absent (0.95); the label says present."),
        ("leakage", 1.0, {"kind": "subject", "key": "x", "splits": ["train", "validation"], "rows": 7},
         "The same person is in train and validation, so that what is learned here is tested there (7 rows)."),
        ("duplicates", 1.0, {"copies": 3, "level": "bytes", "databases": ["expw"], "splits": ["train"], "conflict": ["va"]},
         "3 faces are the same file, in expw; their labels differ in valence and arousal."),
        ("expression_va", 0.8, {"expression": "happiness", "valence": -0.4, "arousal": 0.1, "likelier": "sadness"},
         "It is labelled happiness, but lies at valence -0.4 and arousal 0.1; faces there are more often sadness."),
        ("flicker", 0.6, {"label": "expression", "frames": 2, "around": "neutral", "found": "fear"},
         "For 2 frame(s), expression is fear between frames where it is neutral."),
        ("face_boxes", 0.6, {"defect": "crowded", "share": 0.25, "other": None}, "Face box: defect crowded; share 0.25."),
    ],
)  # fmt: skip
def test_a_finding_is_a_sentence(check: str, score: float, evidence: dict[str, object], words: str) -> None:
    title = "face box" if check == "face_boxes" else AUDITS[check].title
    assert sentence(check, title, score, evidence) == words


@pytest.mark.parametrize("check", AUDITS)
def test_evidence_of_another_version_is_told_plainly(check: str) -> None:
    title = AUDITS[check].title
    assert sentence(check, title, 0.5, {"what": ["a", 1]}) == f"{title[:1].upper()}{title[1:]}: what a, 1."


@pytest.mark.parametrize("check", [name for name in AUDITS if AUDITS[name].example.startswith("`{")])
def test_the_examples_of_audits_have_sentences(check: str) -> None:
    example = re.match(r"`(\{.*?\})`", AUDITS[check].example)
    if example and "..." not in example[1]:
        assert sentence(check, AUDITS[check].title, 0.5, json.loads(example[1])).endswith(".")
