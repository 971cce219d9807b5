"""How unevenly labels are distributed: imbalance measures of multi-label data, label co-occurrence, and lift.

All functions take rows as a boolean matrix with a column for each label, and can count each row several times. So they also run on distinct rows and
their frequencies: a dataset of faces has few distinct rows.

Sources:
    Charte, Rivera, del Jesus & Herrera, *Addressing imbalance in multilabel classification: Measures and random resampling algorithms*,
    Neurocomputing 163 (2015): IRLbl, MeanIR, CVIR.
    Charte et al., *Concurrence among imbalanced labels and its influence on multilabel resampling algorithms*, HAIS 2014: SCUMBLE.
    Charte & Charte, *Working with multilabel datasets in R: the mldr package*, The R Journal 7 (2015), for what the papers leave open.
    Brin, Motwani, Ullman & Tsur, *Dynamic itemset counting and implication rules for market basket data*, SIGMOD 1997: lift, there called interest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_BLOCK: Final = 1 << 12
"""How many rows are converted to float64 at a time: few enough for the cache, enough for BLAS."""


@dataclass(frozen=True)
class Imbalance:
    """The imbalance of L labels over N rows.

    Attributes:
        rows: N, with multiplicity.
        counts: int64 [L], rows that have the label.
        irlbl: float64 [L], count of the most frequent label divided by the label's own count; NaN for a label that no row has.
        mean_ir: mean of `irlbl` over the labels that occur; NaN if none does. (mldr counts an absent label as 0, which lowers the mean.)
        cvir: sample standard deviation of `irlbl` divided by `mean_ir`; NaN if fewer than two labels occur.
        scumble: mean of `scumble_of_rows` over all rows; rows without a label count as 0.
        scumble_cv: sample standard deviation of the same divided by `scumble`; NaN if that is 0.
        label_scumble: float64 [L], mean over the rows that have the label; NaN for a label that no row has.
        label_scumble_cv: float64 [L], population standard deviation over these rows divided by `label_scumble`, as in mldr; NaN where that is 0.
        cardinality: mean number of labels of a row.
        density: cardinality / L.
        label_sets: number of distinct sets of labels, the empty one included.
        single_label_sets: how many of these sets only one row has.
        largest_label_set: how many rows have the most frequent set.
    """

    rows: int
    counts: Counts
    irlbl: Floats
    mean_ir: float
    cvir: float
    scumble: float
    scumble_cv: float
    label_scumble: Floats
    label_scumble_cv: Floats
    cardinality: float
    density: float
    label_sets: int
    single_label_sets: int
    largest_label_set: int

    @property
    def max_ir(self) -> float:
        """The largest IRLbl of a label that occurs; NaN if none does."""
        return float(np.nanmax(self.irlbl)) if self.counts.any() else np.nan


def irlbl(counts: npt.NDArray[np.generic]) -> Floats:
    """The imbalance ratio of each label, float64 [L]: the largest count divided by its own; NaN for a label that no row has.

    Args:
        counts: [L], rows that have the label; weighted counts are allowed.
    """
    positives = counts.astype(np.float64)
    ratios = np.full(len(positives), np.nan)
    np.divide(positives.max(initial=0.0), positives, out=ratios, where=positives > 0)
    return ratios


def label_counts(present: Bools, rows: npt.NDArray[np.generic] | None = None) -> Floats:
    """How many rows have each label, float64 [L]; exact below 2**53.

    Args:
        present: bool [N, L].
        rows: [N], how often each row counts, or its weight; None: once.
    """
    totals = np.zeros(present.shape[1])
    for block, weight in _blocks(present, rows):
        totals += weight @ block
    return totals


def scumble_of_rows(present: Bools, ratios: Floats) -> Floats:
    """SCUMBLE of each row, float64 [N] in [0, 1): how unequal the imbalance ratios of its labels are; 0 for fewer than two labels.

    It is 1 minus the geometric mean of its labels' IRLbl divided by their arithmetic mean (an Atkinson index).

    Args:
        present: bool [N, L].
        ratios: [L], `irlbl`; may be NaN where no row has the label.
    """
    known = np.nan_to_num(ratios, nan=1.0)
    columns = np.column_stack([np.ones(len(known)), known, np.log(known)])
    result = np.zeros(len(present))
    for start in range(0, len(present), _BLOCK):
        size, total, logarithms = (present[start : start + _BLOCK].astype(np.float64) @ columns).T
        several = size > 1
        size, total, logarithms = size[several], total[several], logarithms[several]
        # Rounding can push rows whose labels have equal ratios slightly below zero.
        values = np.maximum(1.0 - np.exp(logarithms / size) / (total / size), 0.0)
        result[start : start + _BLOCK][several] = values
    return result


def imbalance(present: Bools, rows: npt.NDArray[np.integer] | None = None) -> Imbalance:
    """The imbalance measures of a label matrix.

    Args:
        present: bool [N, L], L at least 1.
        rows: int [N], how often each row counts; None: once.
    """
    times = np.ones(len(present), np.int64) if rows is None else np.asarray(rows, np.int64)
    number = int(times.sum())
    counts = label_counts(present, times)
    ratios = irlbl(counts)
    occurring = ratios[counts > 0]
    mean_ir = float(occurring.mean()) if len(occurring) else np.nan
    spread = float(occurring.std(ddof=1)) if len(occurring) > 1 else np.nan
    scumble = scumble_of_rows(present, ratios)
    mean, deviation = _mean_and_deviation(scumble, times)
    label_mean, label_cv = _label_scumble(present, scumble, times, counts)
    cardinality = float(counts.sum() / number) if number else np.nan
    sets = _set_sizes(present, times)
    return Imbalance(
        rows=number,
        counts=counts.astype(np.int64),
        irlbl=ratios,
        mean_ir=mean_ir,
        cvir=spread / mean_ir,
        scumble=mean,
        scumble_cv=deviation / mean if mean > 0 else np.nan,
        label_scumble=label_mean,
        label_scumble_cv=label_cv,
        cardinality=cardinality,
        density=cardinality / present.shape[1],
        label_sets=len(sets),
        single_label_sets=int((sets == 1).sum()),
        largest_label_set=int(sets.max(initial=0)),
    )


@dataclass(frozen=True)
class CoOccurrence:
    """How often two labels occur together, each pair counted over the rows in which both are annotated.

    Attributes:
        annotated: int64 [L, L], rows in which both labels are annotated.
        together: int64 [L, L], rows that have both; the diagonal counts single labels.
        lift: float64 [L, L], P(both) / (P(one) P(other)): 1 for independent labels, 0 for labels that exclude each other; NaN if one never occurs.
    """

    annotated: Counts
    together: Counts
    lift: Floats


def co_occurrence(annotated: Bools, present: Bools, rows: npt.NDArray[np.integer] | None = None) -> CoOccurrence:
    """The co-occurrence of all pairs of labels.

    Args:
        annotated: bool [N, L], whether the row's label is known.
        present: bool [N, L], whether the row has it.
        rows: int [N], how often each row counts; None: once.
    """
    labels = present.shape[1]
    both_annotated, one, together = (np.zeros((labels, labels)) for _ in range(3))
    for (known, weight), (has, _) in zip(_blocks(annotated, rows), _blocks(present, rows), strict=True):
        weighted = has * weight[:, None]
        both_annotated += (known * weight[:, None]).T @ known
        one += weighted.T @ known
        together += weighted.T @ has
    lift = np.full((labels, labels), np.nan)
    # All three probabilities are shares of the rows in which both are annotated, so all but one of these divisors cancel.
    np.divide(together * both_annotated, one * one.T, out=lift, where=(one * one.T) > 0)
    return CoOccurrence(both_annotated.astype(np.int64), together.astype(np.int64), lift)


@dataclass(frozen=True)
class ClassLift:
    """How much likelier a label is within a class than over all rows that have a class.

    Attributes:
        annotated: int64 [C, L], rows of the class in which the label is annotated.
        present: int64 [C, L], rows of the class that have the label.
        rate: float64 [C, L], present / annotated; NaN where no row is annotated.
        lift: float64 [C, L], rate / (rate over the rows of all classes); NaN if the label never occurs or is not annotated in the class.
    """

    annotated: Counts
    present: Counts
    rate: Floats
    lift: Floats


def lift_by_class(
    annotated: Bools,
    present: Bools,
    classes: npt.NDArray[np.integer],
    class_count: int,
    rows: npt.NDArray[np.integer] | None = None,
) -> ClassLift:
    """The rate and lift of every label in every class.

    Args:
        annotated: bool [N, L], whether the row's label is known.
        present: bool [N, L], whether the row has it.
        classes: int [N], class of the row; negative for none.
        class_count: C.
        rows: int [N], how often each row counts; None: once.
    """
    shape = (class_count, present.shape[1])
    known, has = np.zeros(shape), np.zeros(shape)
    for code in range(class_count):
        members = classes == code
        weight = None if rows is None else rows[members]
        known[code] = label_counts(annotated[members], weight)
        has[code] = label_counts(present[members], weight)
    rate, lift, overall = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape[1], np.nan)
    np.divide(has, known, out=rate, where=known > 0)
    np.divide(has.sum(axis=0), known.sum(axis=0), out=overall, where=known.sum(axis=0) > 0)
    np.divide(rate, overall, out=lift, where=(overall > 0) & (known > 0))
    return ClassLift(known.astype(np.int64), has.astype(np.int64), rate, lift)


def _blocks(matrix: Bools, rows: npt.NDArray[np.generic] | None) -> Iterator[tuple[Floats, Floats]]:
    """Blocks of a boolean matrix as float64, so that BLAS can multiply them, with the weights of their rows."""
    for start in range(0, len(matrix), _BLOCK):
        block = matrix[start : start + _BLOCK].astype(np.float64)
        yield block, np.ones(len(block)) if rows is None else rows[start : start + _BLOCK].astype(np.float64)


def _mean_and_deviation(values: Floats, times: Counts) -> tuple[float, float]:
    number = times.sum()
    if not number:
        return np.nan, np.nan
    mean = float(values @ times / number)
    squares = float((values - mean) ** 2 @ times)
    return mean, float(np.sqrt(squares / (number - 1))) if number > 1 else np.nan


def _label_scumble(present: Bools, scumble: Floats, times: Counts, counts: Floats) -> tuple[Floats, Floats]:
    mean, variance, variation = (np.full(len(counts), np.nan) for _ in range(3))
    np.divide(label_counts(present, scumble * times), counts, out=mean, where=counts > 0)
    np.divide(label_counts(present, scumble**2 * times), counts, out=variance, where=counts > 0)
    # Rounding can push the mean of squares minus the square of the mean below zero.
    variance = np.maximum(variance - mean**2, 0.0)
    np.divide(np.sqrt(variance), mean, out=variation, where=mean > 0)
    return mean, variation


def _set_sizes(present: Bools, times: Counts) -> Counts:
    packed = np.ascontiguousarray(np.packbits(present, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, member = np.unique(keys, return_inverse=True)
    sizes = np.bincount(member, weights=times).astype(np.int64)
    return sizes[sizes > 0]
