"""Finds frames whose pain score is not what their action units add up to."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.vocabulary import slot_of

PAIN_UNITS: Final = (4, 6, 7, 9, 10, 43)
GROUP: Final = "pspi"
"""Column group with one column of the same name: the pain score in the files, float32; NaN where there is none."""

Floats = npt.NDArray[np.float32]


def pain_score(intensities: Mapping[int, Floats]) -> Floats:
    """The pain intensity of Prkachin and Solomon: AU4 + max(AU6, AU7) + max(AU9, AU10) + AU43.

    Args:
        intensities: float32 [rows] by action unit, for `PAIN_UNITS`, in 0..5; AU43 is 0 or 1.

    Returns:
        float32 [rows] in 0..16; NaN where an intensity is NaN.
    """
    brow, cheek, lid, nose, lip, eyes = (intensities[number] for number in PAIN_UNITS)
    return brow + np.maximum(cheek, lid) + np.maximum(nose, lip) + eyes


def contradicts_pain_score(intensities: Mapping[int, Floats], given: Floats) -> npt.NDArray[np.bool_]:
    """Whether a given pain score differs from the sum, bool [rows]; False if one of the two is unknown.

    Args:
        intensities: as for `pain_score`.
        given: float32 [rows], the scores in the files.
    """
    difference = np.abs(pain_score(intensities) - given)
    return np.asarray(~np.isnan(difference) & (difference > 1e-3))


class PainIdentity(Audit):
    """Frames whose pain score is not the sum of their action units."""

    name = "pspi"
    title = "pain score against action units"
    severity = Severity.ERROR
    rule = "PSPI differs from AU4 + max(AU6, AU7) + max(AU9, AU10) + AU43. Score: 1"
    source = (
        "Prkachin & Solomon, The structure, reliability and validity of pain expression, Pain 139 (2008); UNBC-McMaster"
    )
    example = (
        "AU4 = 3, AU6 = 4, AU7 = 2, AU9 = 2, AU10 = 0, AU43 = 1 give 10; the file says 9. It runs where a "
        "dataset has a column group `pspi` (one float32 column of that name, NaN where there is no score), "
        "which `affect-data build` writes for UNBC-McMaster (`unbc`). Finds an action-unit file that lost its"
        " lines, too"
    )

    def not_applicable(self, dataset: AuditedDataset) -> str:
        """The check needs pain scores besides action units, which only UNBC-McMaster has."""
        if all(GROUP not in dataset.folder.groups(split) for split in dataset.folder.splits):
            return f"no column group '{GROUP}': only UNBC-McMaster has pain scores"
        if np.isnan(_given(dataset)).all():
            return "no row has a pain score: the files had no folder Frame_Labels/PSPI"
        return ""

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every frame whose score is not the sum."""
        given = _given(dataset)
        return pl.concat(
            [no_findings(), *(self._found(block, given) for block in dataset.blocks("uid", "au_intensity"))]
        )

    def _found(self, block: pl.DataFrame, scores: Floats) -> pl.DataFrame:
        given, slots = scores[block["row"].to_numpy()], block["au_intensity"].to_numpy()
        intensities = {number: slots[:, slot_of(number)] for number in PAIN_UNITS}
        rows = block.with_columns(pl.Series("given", given), pl.Series("sum", pain_score(intensities))).filter(
            pl.Series(contradicts_pain_score(intensities, given))
        )
        return findings(rows, pl.lit(1.0), self.severity, {"pspi": pl.col("given"), "sum": pl.col("sum")})


def _given(dataset: AuditedDataset) -> Floats:
    """The pain scores in the files, float32 [rows], in the row order of `AuditedDataset`; NaN where there is none."""
    parts = [
        dataset.folder.load(split, [GROUP]).data.table.column(GROUP).to_numpy()
        if GROUP in dataset.folder.groups(split)
        else np.full(dataset.folder.rows(split), np.nan, np.float32)
        for split in dataset.folder.splits
    ]
    return np.concatenate(parts).astype(np.float32)
