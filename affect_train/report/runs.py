"""Runs that are reported together: what is read of each, and whether their figures may stand beside each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from affect_data.bounds import read_json
from affect_data.errors import DataError, UsageError
from affect_data.recipe_file import TRAINING_RECIPE, read_recipe_text
from affect_data.report.course import Course, read_course
from affect_data.report.evaluation_figures import Judged
from affect_data.report.evaluation_figures import part as part_of
from affect_data.report.training_section import NotARunError, evaluation_figures
from affect_train.evaluation.selection import SELECTED_ON
from affect_train.run_folder import MODEL_CONFIG, RunFolder, weights_digest

LETTERS: Final = "ABCDEFGH"
"""What runs are called in tables and drawings; more could not be told apart."""


class NotComparableError(DataError):
    """Runs whose figures are about different rows, or were made by different rules."""

    def __init__(self, differing: Sequence[str]) -> None:
        super().__init__(
            "the figures of these runs cannot stand beside each other:\n"
            + "".join(f"  {line}\n" for line in differing)
            + "Evaluate all of them alike: `affect-train evaluate RUN DATASET --split SPLIT`"
        )


@dataclass(frozen=True)
class ReportedRun:
    """What a report knows of a run.

    Attributes:
        letter: what it is called in tables and drawings.
        name: of its folder, with as many folders above it as tell it from the others.
        path: of its folder.
        evaluation: its ``evaluation.json``.
        course: of its training.
        settings: entries of its recipe, by dotted name.
        is_stale: whether its model has changed since the evaluation.
        selected_on: what chose its checkpoint; None if nothing did.
    """

    letter: str
    name: str
    path: Path
    evaluation: Mapping[str, Any]
    course: Course
    settings: Mapping[str, Any]
    is_stale: bool
    selected_on: Mapping[str, Any] | None

    @property
    def splits(self) -> Mapping[str, Mapping[str, Any]]:
        """The evaluated splits."""
        found: Mapping[str, Mapping[str, Any]] = self.evaluation["splits"]
        return found

    def chosen_on(self, split: str) -> bool:
        """Whether a split chose the checkpoint, so that its figures flatter."""
        chosen = self.selected_on
        return chosen is not None and (chosen["split"], chosen["dataset"]) == (split, self.evaluation.get("dataset"))


def read_runs(paths: Sequence[Path]) -> list[ReportedRun]:
    """The runs, in the order given.

    Raises:
        UsageError: there are none, too many, or one is named twice.
        NotARunError: one has no readable evaluation.
        NotComparableError: their figures are about different rows, or were made by different rules.
    """
    if not 0 < len(paths) <= len(LETTERS):
        raise UsageError(f"found {len(paths)} runs; name 1 to {len(LETTERS)}: more cannot be told apart in a drawing")
    real = [path.resolve() for path in paths]
    twice = sorted({str(path) for path, place in zip(paths, real, strict=True) if real.count(place) > 1})
    if twice:
        raise UsageError(f"{', '.join(twice)}: named twice; name each run once")
    runs = [_read(*one) for one in zip(LETTERS, _names(real), paths, strict=False)]
    differing = _differing(runs)
    if differing:
        raise NotComparableError(differing)
    return runs


def common_splits(runs: Sequence[ReportedRun]) -> list[str]:
    """The splits on which every run was evaluated, in the order of the first."""
    return [split for split in runs[0].splits if all(split in run.splits for run in runs)]


def judged(runs: Sequence[ReportedRun], split: str, database: str | None = None) -> Judged:
    """The runs' figures on a split, or on a database in it, each with its letter; a run alone has none."""
    letters = [run.letter if len(runs) > 1 else "" for run in runs]
    return [(letter, part_of(run.splits[split], database)) for letter, run in zip(letters, runs, strict=True)]


def _names(places: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ."""
    for depth in range(1, max(len(place.parts) for place in places)):
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [place.name for place in places]


def _read(letter: str, name: str, path: Path) -> ReportedRun:
    folder = RunFolder(path)
    try:
        evaluation = read_json(folder.evaluation)
        evaluation_figures(evaluation, path)
        config = folder.model / MODEL_CONFIG
        chosen = read_json(config).get(SELECTED_ON) if config.is_file() else None
    except FileNotFoundError:
        raise NotARunError(path, "it has no evaluation.json") from None
    except (OSError, ValueError, AttributeError) as error:
        raise NotARunError(path, f"it is not readable ({type(error).__name__}: {error})") from None
    stated = evaluation.get("weights")
    return ReportedRun(
        letter,
        name,
        path,
        evaluation,
        read_course(folder.metrics),
        _settings(folder.recipe),
        is_stale=bool(stated) and folder.model.is_dir() and stated != weights_digest(folder.model),
        selected_on=chosen,
    )


def _settings(recipe: Path) -> dict[str, Any]:
    """The entries of a recipe by dotted name; none if the run has no recipe."""
    return entries(read_recipe_text(recipe, TRAINING_RECIPE).values) if recipe.is_file() else {}


def entries(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The entries of a nested mapping by dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= entries(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _differing(runs: Sequence[ReportedRun]) -> list[str]:
    """What speaks against showing runs beside each other, a line each."""
    whole = {
        "rows and labels": [_data(run.evaluation) for run in runs],
        "fold": [_fold(run.evaluation) for run in runs],
    }
    lines = [_line(what, runs, values) for what, values in whole.items() if len(set(values)) > 1]
    splits = common_splits(runs)
    if not splits:
        lines.append(_line("evaluated splits", runs, [", ".join(run.splits) for run in runs]))
    for split in splits:
        parts = [run.splits[split] for run in runs]
        rules = {
            f"rows of {split}": [f"{one['rows']:,}" for one in parts],
            f"what an absent class does to a mean F1 on {split}": [
                str(one["overall"].get("absent", "skip")) for one in parts
            ],
        }
        lines += [_line(what, runs, values) for what, values in rules.items() if len(set(values)) > 1]
    return lines


def _data(evaluation: Mapping[str, Any]) -> str:
    known = evaluation.get("fingerprint") or evaluation.get("commit") or "of unknown content"
    return f"{evaluation.get('dataset', '?')} ({known})" if "fingerprint" not in evaluation else str(known)


def _fold(evaluation: Mapping[str, Any]) -> str:
    fold = evaluation.get("fold")
    return f"{fold['folds']}:{fold['fold']}" if fold else "all rows"


def _line(what: str, runs: Sequence[ReportedRun], values: Iterable[str]) -> str:
    return f"{what}: " + "; ".join(f"{run.name}: {value}" for run, value in zip(runs, values, strict=True))
