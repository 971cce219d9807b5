"""The course of a training, from its log: losses and scores over the steps."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affect_data.bounds import BoundError, parse_json, read_lines_file

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Course:
    """How a training went.

    Attributes:
        losses: step and value of each loss term, by name.
        scores: step and value of each metric of the validation split, by its dotted name.
    """

    losses: dict[str, Points] = field(default_factory=dict)
    scores: dict[str, Points] = field(default_factory=dict)


def read_course(path: Path) -> Course:
    """What the complete lines of a run's ``metrics.jsonl`` say; nothing without such a file. Lines of another form are passed over.

    Args:
        path: the file.
    """
    course = Course()
    text = read_lines_file(path, f"'{path}'").decode("utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        with suppress(BoundError, ValueError, KeyError, TypeError, AttributeError):
            entry = parse_json(line, f"'{path}'")
            step = float(entry["step"])
            if entry["kind"] == "train":
                for name, value in entry["losses"].items():
                    if not name.endswith("_ccc"):
                        course.losses.setdefault(name, []).append((step, float(value)))
            elif entry["kind"] == "evaluation":
                for name, value in _numbers(entry["metrics"]).items():
                    course.scores.setdefault(name, []).append((step, value))
    return course


def _numbers(values: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of two levels of a mapping, by dotted name: the metrics of tasks, without those of single labels."""
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, dict) and not prefix:
            found |= _numbers(value, f"{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{key}"] = float(value)
    return found
