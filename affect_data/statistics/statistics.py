"""How many rows of a dataset carry which labels, alone and together, and how unevenly labels are distributed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.label_chunks import LabelChunk, label_chunks
from affect_data.statistics.agreement import AgreementCounter
from affect_data.statistics.imbalance import Imbalance, co_occurrence, imbalance, label_counts, lift_by_class
from affect_data.statistics.label_patterns import PATTERN_COLUMNS, PatternCounter, unpack
from affect_data.statistics.side import side_values
from affect_data.statistics.subjects import SubjectCounter
from affect_data.statistics.va_plane import BINS, histogram
from affect_data.vocabulary import ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS

_COLUMNS: Final = (*PATTERN_COLUMNS, "subject", "expression_votes", "valence", "arousal")
SETS_LISTED: Final = 100
_TASKS: Final = ("au", "expression", "va", "compound_expression")


@dataclass(frozen=True)
class Statistics:
    """Counts over a dataset.

    Attributes:
        coverage: a line for each database and split: `database, split, rows, subjects, au, expression, va, compound_expression, any_label,
            all_three`; the label columns count rows, `au` those with at least one action unit, by occurrence or intensity.
        action_units: a line for each labelled action unit: `action_unit, labelled, present, with_intensity` and `rate` = present / labelled.
        expressions: `expression, rows`, also for classes without a row.
        compound_expressions: `compound_expression, rows`, without empty classes.
        valence_arousal: `split, rows, valence_mean, valence_std, arousal_mean, arousal_std`.
        complete_case: of the rows with any label, how many have all of AU, expression and VA: `labelled, complete, lost_share`.
        subjects: from `subjects.SubjectCounter.table`.
        label_combinations: `split, au, expression, va, compound_expression, rows, share`: which tasks rows have labels of, most rows first.
        action_units_by_database: as `action_units`, for each `database, split`.
        expressions_by_database: `database, split`, and a count for each expression.
        imbalance: a line for each split with action units: the measures of `imbalance.Imbalance` over its annotated action units.
        label_imbalance: a line for each split and action unit: `present, irlbl, scumble, scumble_cv`.
        action_unit_sets: `split, action_units, rows`: the `SETS_LISTED` most frequent sets of present action units in each split, over the rows that
            have any annotated.
        co_occurrence: a line for each pair of action units annotated together: `first, second, annotated, together, lift`, over all splits.
        action_units_by_expression: `expression, action_unit, annotated, present, rate, lift` over the rows that have both.
        va_histograms: by split, rows by bin over [-1, 1] x [-1, 1]: [valence bin][arousal bin].
        agreement: from `agreement.AgreementCounter.table`.
        side: from `side.side_values`.
    """

    coverage: pl.DataFrame
    action_units: pl.DataFrame
    expressions: pl.DataFrame
    compound_expressions: pl.DataFrame
    valence_arousal: pl.DataFrame
    complete_case: dict[str, float]
    subjects: pl.DataFrame
    label_combinations: pl.DataFrame
    action_units_by_database: pl.DataFrame
    expressions_by_database: pl.DataFrame
    imbalance: pl.DataFrame
    label_imbalance: pl.DataFrame
    action_unit_sets: pl.DataFrame
    co_occurrence: pl.DataFrame
    action_units_by_expression: pl.DataFrame
    va_histograms: dict[str, npt.NDArray[np.int64]]
    agreement: pl.DataFrame
    side: pl.DataFrame

    def to_json(self) -> dict[str, object]:
        """The statistics as plain lists and dictionaries; undefined values are null."""
        document: dict[str, object] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            document[entry.name] = value.fill_nan(None).to_dicts() if isinstance(value, pl.DataFrame) else value
        document["va_histograms"] = {split: counts.tolist() for split, counts in self.va_histograms.items()}
        return document


def statistics(dataset: DatasetFolder, annotators: Mapping[str, int] | None = None) -> Statistics:
    """The statistics of all splits of a dataset, in one pass over its labels.

    Args:
        dataset: the dataset.
        annotators: by database, how many people voted on every face (for Fleiss' kappa); by default as the databases state.
    """
    counter, people, votes = PatternCounter(), SubjectCounter(), AgreementCounter(annotators)
    planes = {split: _Plane() for split in dataset.splits}
    for split in dataset.splits:
        for chunk in label_chunks(dataset, split, _COLUMNS):
            counter.add(chunk)
            people.add(chunk)
            votes.add(chunk)
            planes[split].add(chunk)
    patterns, subjects = counter.patterns(), people.table()
    coverage = _coverage(patterns, subjects)
    labelled, complete = int(coverage["any_label"].sum()), int(coverage["all_three"].sum())
    compounds = _classes(patterns, "compound_expression", COMPOUND_EXPRESSIONS)
    measures, label_measures = _imbalance(patterns)
    return Statistics(
        coverage=coverage,
        action_units=_action_units(patterns, []),
        expressions=_classes(patterns, "expression", EXPRESSIONS),
        compound_expressions=compounds.filter(pl.col("rows") > 0),
        valence_arousal=pl.DataFrame([{"split": split, **plane.moments()} for split, plane in planes.items()]),
        complete_case={
            "labelled": labelled,
            "complete": complete,
            "lost_share": 1 - complete / labelled if labelled else 0.0,
        },
        subjects=subjects,
        label_combinations=_label_combinations(patterns),
        action_units_by_database=_action_units(patterns, ["database", "split"]),
        expressions_by_database=_expressions_by_database(patterns),
        imbalance=measures,
        label_imbalance=label_measures,
        action_unit_sets=_action_unit_sets(patterns),
        co_occurrence=_co_occurrence(patterns),
        action_units_by_expression=_by_expression(patterns),
        va_histograms={split: plane.counts.astype(np.int64) for split, plane in planes.items()},
        agreement=votes.table(),
        side=side_values(dataset),
    )


class _Plane:
    """Moments and histogram of valence and arousal."""

    def __init__(self) -> None:
        self.rows = 0
        self.counts = np.zeros((BINS, BINS))
        self._sums = np.zeros(4)

    def add(self, chunk: LabelChunk) -> None:
        mask = chunk["va_mask"]
        valence, arousal = chunk["valence"][mask].astype(np.float64), chunk["arousal"][mask].astype(np.float64)
        self.rows += len(valence)
        self._sums += valence.sum(), arousal.sum(), (valence**2).sum(), (arousal**2).sum()
        self.counts += histogram(valence, arousal)

    def moments(self) -> dict[str, float | int | None]:
        """`rows`, and mean and population standard deviation of both axes; None if there is no row."""
        names = ("valence_mean", "arousal_mean", "valence_std", "arousal_std")
        if not self.rows:
            return {"rows": 0, **dict.fromkeys(names)}
        mean, square = self._sums[:2] / self.rows, self._sums[2:] / self.rows
        deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
        return {"rows": self.rows, **dict(zip(names, [*mean.tolist(), *deviation.tolist()], strict=True))}


def _has_labels(patterns: pl.DataFrame) -> pl.DataFrame:
    return patterns.select(
        "split",
        "database",
        "rows",
        au=(pl.col("annotated") > 0) | (pl.col("graded") > 0),
        expression=pl.col("expression") >= 0,
        va=pl.col("va"),
        compound_expression=pl.col("compound_expression") >= 0,
    )


def _coverage(patterns: pl.DataFrame, subjects: pl.DataFrame) -> pl.DataFrame:
    three = ("au", "expression", "va")
    has = _has_labels(patterns).with_columns(any_label=pl.any_horizontal(_TASKS), all_three=pl.all_horizontal(three))
    labels = (*_TASKS, "any_label", "all_three")
    counted = has.group_by("database", "split").agg(
        pl.col("rows").sum(), *(pl.col("rows").filter(pl.col(name)).sum().alias(name) for name in labels)
    )
    joined = counted.join(subjects.select("database", "split", "subjects"), on=["database", "split"])
    return joined.select("database", "split", "rows", "subjects", *labels).sort("database", "split")


def _label_combinations(patterns: pl.DataFrame) -> pl.DataFrame:
    counted = _has_labels(patterns).group_by("split", *_TASKS).agg(pl.col("rows").sum())
    return counted.with_columns(share=pl.col("rows") / pl.col("rows").sum().over("split")).sort(
        "split", "rows", *_TASKS, descending=[False, True, *(True for _ in _TASKS)]
    )


def _action_units(patterns: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    parts = [({}, patterns)] if not by else [
        (dict(zip(by, key, strict=True)), part) for key, part in patterns.group_by(by, maintain_order=True)
    ]  # fmt: skip
    tables = [
        _action_unit_counts(part).select(*(pl.lit(v).alias(k) for k, v in key.items()), pl.all()) for key, part in parts
    ]
    counts = pl.concat(tables) if tables else _action_unit_counts(patterns)
    labelled = counts.filter((pl.col("labelled") > 0) | (pl.col("with_intensity") > 0))
    rate = pl.when(pl.col("labelled") > 0).then(pl.col("present") / pl.col("labelled"))
    return labelled.with_columns(rate=rate).sort(*by, "action_unit") if by else labelled.with_columns(rate=rate)


def _action_unit_counts(patterns: pl.DataFrame) -> pl.DataFrame:
    rows = patterns["rows"].to_numpy()
    sets = {"labelled": "annotated", "present": "present", "with_intensity": "graded"}
    counts = {
        name: label_counts(unpack(patterns[column].to_numpy()), rows).astype(np.int64) for name, column in sets.items()
    }
    return pl.DataFrame({"action_unit": ACTION_UNITS, **counts})


def _classes(patterns: pl.DataFrame, column: str, names: tuple[str, ...]) -> pl.DataFrame:
    known = patterns.filter(pl.col(column) >= 0)
    rows = np.bincount(known[column].to_numpy(), known["rows"].to_numpy(), len(names)).astype(np.int64)
    return pl.DataFrame({column: names, "rows": rows})


def _expressions_by_database(patterns: pl.DataFrame) -> pl.DataFrame:
    known = patterns.filter(pl.col("expression") >= 0)
    counts = (pl.col("rows").filter(pl.col("expression") == code).sum().alias(n) for code, n in enumerate(EXPRESSIONS))
    return known.group_by("database", "split").agg(counts).sort("database", "split")


def _annotated_units(patterns: pl.DataFrame) -> tuple[pl.DataFrame, list[int]]:
    """The patterns with an annotated action unit, and the slots that are annotated in at least one of them."""
    known = patterns.filter(pl.col("annotated") > 0)
    union = np.bitwise_or.reduce(known["annotated"].to_numpy(), initial=np.uint64(0))
    return known, np.flatnonzero(unpack(np.array([union], np.uint64))[0]).tolist()


def _imbalance(patterns: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    measures, labels = [], []
    for (split,), part in patterns.group_by("split", maintain_order=True):
        known, slots = _annotated_units(part)
        if not slots:
            continue
        found = imbalance(unpack(known["present"].to_numpy())[:, slots], known["rows"].to_numpy())
        measures.append({"split": split, **_measures(found)})
        for i, slot in enumerate(slots):
            labels.append(
                {
                    "split": split,
                    "action_unit": ACTION_UNITS[slot],
                    "present": int(found.counts[i]),
                    "irlbl": _defined(found.irlbl[i]),
                    "scumble": _defined(found.label_scumble[i]),
                    "scumble_cv": _defined(found.label_scumble_cv[i]),
                }
            )
    return pl.DataFrame(measures, infer_schema_length=None), pl.DataFrame(labels, infer_schema_length=None)


def _measures(found: Imbalance) -> dict[str, Any]:
    numbers = ("cardinality", "density", "mean_ir", "max_ir", "cvir", "scumble", "scumble_cv")
    whole = {name: getattr(found, name) for name in ("label_sets", "single_label_sets", "largest_label_set")}
    return {
        "rows": found.rows,
        "labels": len(found.counts),
        **{name: _defined(getattr(found, name)) for name in numbers},
        **whole,
    }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _action_unit_sets(patterns: pl.DataFrame) -> pl.DataFrame:
    known = patterns.filter(pl.col("annotated") > 0).group_by("split", "present").agg(pl.col("rows").sum())
    sets = known.sort("split", "rows", "present", descending=[False, True, False])
    sets = sets.group_by("split", maintain_order=True).head(SETS_LISTED)
    units = np.array(ACTION_UNITS)
    names = [" ".join(map(str, units[row])) for row in unpack(sets["present"].to_numpy())]
    return sets.select("split", pl.Series("action_units", names, dtype=pl.String), "rows")


def _co_occurrence(patterns: pl.DataFrame) -> pl.DataFrame:
    known, slots = _annotated_units(patterns)
    annotated, present = (unpack(known[column].to_numpy())[:, slots] for column in ("annotated", "present"))
    found = co_occurrence(annotated, present, known["rows"].to_numpy())
    first, second = np.triu_indices(len(slots), 1)
    units = np.array(ACTION_UNITS)[slots]
    table = pl.DataFrame(
        {
            "first": units[first],
            "second": units[second],
            "annotated": found.annotated[first, second],
            "together": found.together[first, second],
            "lift": found.lift[first, second],
        }
    )
    return table.filter(pl.col("annotated") > 0).with_columns(pl.col("lift").fill_nan(None))


def _by_expression(patterns: pl.DataFrame) -> pl.DataFrame:
    known, slots = _annotated_units(patterns.filter(pl.col("expression") >= 0))
    annotated, present = (unpack(known[column].to_numpy())[:, slots] for column in ("annotated", "present"))
    codes = known["expression"].to_numpy()
    found = lift_by_class(annotated, present, codes, len(EXPRESSIONS), known["rows"].to_numpy())
    table = pl.DataFrame(
        {
            "expression": np.repeat(np.array(EXPRESSIONS), len(slots)),
            "action_unit": np.tile(np.array(ACTION_UNITS)[slots], len(EXPRESSIONS)),
            "annotated": found.annotated.ravel(),
            "present": found.present.ravel(),
            "rate": found.rate.ravel(),
            "lift": found.lift.ravel(),
        }
    )
    return table.filter(pl.col("annotated") > 0).with_columns(pl.col("rate", "lift").fill_nan(None))
