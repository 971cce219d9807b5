"""What commands of ``affect-train`` print with ``--json``: one definition each, from which schemas and the page docs/json-output.md are made."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from affect_data.cli.documents import Document, EnvironmentDocument, ErrorDocument
from affect_train.recipe.recipe import Recipe


class TrainDocument(Document):
    """The result of ``affect-train train``; with ``--dry-run``, `dry_run`, `steps` and `losses` alone."""

    output: str = Field("", description="the run folder")
    model: str = Field("", description="the folder of the model in it")
    steps: int = Field(description="optimizer steps")
    best_score: float | None = Field(
        None, description="of the model, by `training.best_metric`; null if none was measured"
    )
    undecodable_rows: int = Field(0, description="rows that were left out")
    evaluation: str | None = Field(None, description="the file of the evaluation; null without one")
    dry_run: bool = Field(default=False, description="whether one step alone was tried, and nothing written")
    losses: dict[str, float] = Field({}, description="of that step")


class LabelDocument(Document):
    """The result of ``affect-train label``."""

    name: str = Field(description="of the soft labels: columns `soft.NAME.*`")
    dataset: str = Field(description="the folder")
    rows: dict[str, int] = Field(description="by split")
    rows_found: int = Field(description="that an interrupted run had labelled")
    provenance: dict[str, Any] = Field(description="which teacher, from which pictures, with which outputs")


class EvaluateDocument(Document):
    """The result of ``affect-train evaluate``."""

    dataset: str = Field(description="the dataset")
    fingerprint: str = Field("", description="of the dataset")
    weights: str = Field("", description="a hash of the model's weights")
    splits: dict[str, dict[str, Any]] = Field(
        description="`rows`, metrics over all (`overall`) and by database (docs/evaluation.md)"
    )
    commit: str = Field("", description="of a dataset of the Hub")
    fold: dict[str, Any] | None = Field(None, description="the fold that counts, with `--fold`")
    thresholds_from: Any = Field(None, description="where the thresholds of action units come from, if they were tuned")
    target_prior: Any = Field(None, description="the prior that logits were moved to, if they were")
    selected_on: Any = Field(None, description="the split that chose the checkpoint, if one did")


class CopiedRecipe(Document):
    """The result of ``affect-train recipe copy``."""

    recipe: str = Field(description="the file")
    next: list[str] = Field(description="the commands that come next")


class ComparedMetric(Document):
    """The difference of two models by one metric."""

    group: str = Field(description="the rows: all, a database, or a group of people in one")
    metric: str = Field(description="its dotted name (docs/evaluation.md)")
    first: float = Field(description="of the first model")
    second: float = Field(description="of the second")
    difference: float = Field(description="first minus second")
    interval: tuple[float, float] = Field(description="of the difference, over people")
    p: float = Field(description="of a difference at least as large where there is none")
    q: float = Field(description="the rate of false discoveries at which this is a discovery")
    people: int = Field(description="on how many the metric depends")
    verdict: Literal["first", "second", "not shown"] = Field(description="which is better")


class CompareDocument(Document):
    """The result of ``affect-train compare``."""

    first: str = Field(description="as it was named")
    second: str = Field(description="as it was named")
    dataset: str = Field(description="its name")
    fingerprint: str = Field(description="of the dataset")
    split: str = Field(description="on which they are compared")
    rows: int = Field(description="of the split")
    people: dict[str, int] = Field(description="how many subjects, tracks and rows are drawn")
    level: float = Field(description="of the intervals")
    rate: float = Field(description="of false discoveries, under which a verdict is given")
    resamples: int = Field(description="of people")
    subgroup_minimum: dict[str, int] = Field(description="rows and people from which a group is compared")
    thresholds: dict[str, list[float]] = Field(description="of action units, by model: first, second")
    differences: list[ComparedMetric]
    left_out: dict[str, str] = Field(description="why a metric has no line, by group and metric")
    selected_on: dict[str, Any] = Field(description="what chose the checkpoint, by model, if something did")


class SaidVerdict(Document):
    """One thing to know before figures are used."""

    severity: str = Field(description="error, warning, or review")
    what: str = Field(description="is so")
    means: str = Field(description="why it matters")
    do: str = Field(description="what to do about it")


class ReportedScore(Document):
    """A figure of a run."""

    run: str = Field(description="its letter")
    split: str = Field(description="where it was measured")
    database: str | None = Field(description="on which; null: all rows")
    metric: str = Field(description="its dotted name (docs/evaluation.md)")
    value: float = Field(description="of the metric")
    interval: tuple[float, float] | None = Field(description="95% over people; null if the evaluation has none")


class ReportDocument(Document):
    """The result of ``affect-train report``."""

    report: str = Field(description="the file")
    bytes: int = Field(description="its size")
    runs: dict[str, str] = Field(description="names by letter")
    verdicts: list[SaidVerdict]
    scores: list[ReportedScore]
    settings: dict[str, list[Any]] = Field(description="that differ, a value for each run by dotted name")
    comparisons: list[CompareDocument] = Field(description="with `--dataset`; models are named by their letters")


OWN: Final[Mapping[str, type[Document]]] = {
    "train": TrainDocument,
    "label": LabelDocument,
    "evaluate": EvaluateDocument,
    "recipe copy": CopiedRecipe,
    "report": ReportDocument,
    "compare": CompareDocument,
    "env": EnvironmentDocument,
    "error": ErrorDocument,
}

DOCUMENTS: Final[Mapping[str, Any]] = {**OWN, "validate": Recipe}
"""By command; ``validate`` prints the recipe, ``error`` is what every command prints when it fails."""
