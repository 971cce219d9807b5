"""Findings in sentences: what is doubted about a face, and who doubts it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Evidence = Mapping[str, Any]


def sentence(check: str, title: str, score: float, evidence: Evidence) -> str:
    """A finding in a sentence; of a check that has no words of its own, its title and evidence.

    Args:
        check: name of the audit.
        title: what the audit finds, in a few words.
        score: of the finding.
        evidence: as the audit stored it.
    """
    say = _SENTENCES.get(check)
    try:
        found = say(score, evidence) if say else ""
    except (KeyError, TypeError, ValueError):
        # The evidence is that of another version of the audit.
        found = ""
    return found or _plainly(title, evidence)


def _plainly(title: str, evidence: Evidence) -> str:
    told = [f"{name.replace('_', ' ')} {_text(value)}" for name, value in evidence.items() if _text(value)]
    return f"{title[:1].upper()}{title[1:]}" + (f": {'; '.join(told)}." if told else ".")


def _text(value: Any) -> str:  # noqa: ANN401 - what JSON can hold
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return "" if value is None else str(value)


def _label_errors(score: float, evidence: Evidence) -> str:
    by, task = str(evidence["by"]), str(evidence["task"])
    who = by.removesuffix(", out of fold").replace(",", " with")
    subject = f"A {who}" if who.startswith("linear") else who[:1].upper() + who[1:]
    unseen = " that has not seen this face" if by.endswith("out of fold") else ""
    if task in ("valence", "arousal"):
        return f"{subject}{unseen} puts its {task} at {_text(evidence['predicted'])}; the label says {_text(evidence['label'])}."
    of = "" if task == "expression" else f"{task} is "
    sure = f" ({evidence['probability']:.2f})" if "probability" in evidence else ""
    return f"{subject}{unseen} says {of}{evidence['predicted']}{sure}; the label says {evidence['label']}, which it gives {1 - score:.2f}."


def _teacher(score: float, evidence: Evidence) -> str:
    task, label = str(evidence["task"]), _text(evidence["label"])
    unseen = " that has not seen this face" if evidence.get("out_of_fold") else " (it may have learned this very label)"
    subject = f"The teacher {evidence['teacher']}{unseen}"
    if task.startswith("AU"):
        says, label = ("absent", "present") if evidence["label"] else ("present", "absent")
        return f"{subject} says {task} is {says} ({score:.2f}); the label says {label}."
    if task in ("valence", "arousal"):
        return f"{subject} puts its {task} at {_text(evidence['teacher_says'])}; the label says {label}."
    return f"{subject} says {evidence['teacher_says']}; the label says {label}, which it gives {score:.2f} less."


def _expression_va(_: float, evidence: Evidence) -> str:
    place = f"valence {_text(evidence['valence'])} and arousal {_text(evidence['arousal'])}"
    likelier = f"; faces there are more often {evidence['likelier']}" if evidence.get("likelier") else ""
    return f"It is labelled {evidence['expression']}, but lies at {place}{likelier}."


def _leakage(_: float, evidence: Evidence) -> str:
    what = {"subject": "The same person", "track": "The same video"}.get(evidence["kind"], "A copy of this picture")
    splits = " and ".join(evidence["splits"])
    return f"{what} is in {splits}, so that what is learned here is tested there ({_text(evidence['rows'])} rows)."


def _duplicates(_: float, evidence: Evidence) -> str:
    levels = {"bytes": "the same file", "pixels": "the same pixels", "mirrored": "mirrored copies of one picture"}
    level = levels.get(evidence["level"], "nearly the same picture")
    found = f"{evidence['copies']} faces are {level}, in {_text(evidence['databases'])}"
    splits = f", over the splits {_text(evidence['splits'])}" if len(evidence["splits"]) > 1 else ""
    apart = ", ".join(_TASKS.get(task, task) for task in evidence["conflict"])
    conflict = f"; their labels differ in {apart}" if apart else "; their labels agree"
    return f"{found}{splits}{conflict}."


def _jump(_: float, evidence: Evidence) -> str:
    return (
        f"From the frame before, {evidence['dimension']} leaps from {_text(evidence['before'])} to {_text(evidence['after'])}; "
        f"frames of this database rarely move by more than {_text(evidence['limit'])}."
    )


def _flicker(_: float, evidence: Evidence) -> str:
    frames, found, around = (_text(evidence[name]) for name in ("frames", "found", "around"))
    return f"For {frames} frame(s), {evidence['label']} is {found} between frames where it is {around}."


def _annotators(_: float, evidence: Evidence) -> str:
    return f"The annotators do not agree: the commonest vote, {evidence['top']}, has {100 * evidence['share']:.0f} % of them."


def _face_count(_: float, evidence: Evidence) -> str:
    return f"{evidence['detector']} finds {_text(evidence['faces'])} faces in this picture, where one belongs."


_TASKS: Final = {"valence_arousal": "valence and arousal", "va": "valence and arousal", "au": "action units"}

_SENTENCES: Final[Mapping[str, Callable[[float, Evidence], str]]] = {
    "label_errors": _label_errors,
    "teacher": _teacher,
    "expression_va": _expression_va,
    "leakage": _leakage,
    "duplicates": _duplicates,
    "va_jumps": _jump,
    "flicker": _flicker,
    "annotators": _annotators,
    "face_count": _face_count,
}
