"""Finds action units whose occurrence contradicts their intensity."""

from typing import Final

import numpy as np
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings

INTENSITIES: Final = (1.0, 2.0, 3.0, 4.0, 5.0)

_UNITS_AT_ONCE: Final = 8


class OccurrenceIntensity(Audit):
    """Occurrence that contradicts the intensity from which on a database calls an action unit present."""

    name = "occurrence_intensity"
    title = "occurrence against intensity"
    severity = Severity.WARNING
    rule = (
        "present with intensity 0; or, per database and action unit, on the wrong side of the intensity threshold that contradicts the fewest faces. "
        "Score: 1 for intensity 0, else 0.6 at the threshold and 0.1 more for every step beyond"
    )
    source = "databases code presence from intensity 1 or 2 on; papers on one database differ in it"
    example = "AU12 present with intensity 0; AU12 absent with intensity 4 in a database whose threshold is 2"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row and action unit."""
        parts = [no_findings()]
        database = dataset.rows("database")["database"].to_physical().to_numpy()
        layout = dataset.folder.manifest.layout
        coded = [number for number in layout.action_units if number in layout.intensities]
        for start in range(0, len(coded), _UNITS_AT_ONCE):
            numbers = coded[start : start + _UNITS_AT_ONCE]
            slots = zip(numbers, dataset.slots("au", numbers), dataset.slots("au_intensity", numbers), strict=True)
            for number, occurrence, intensity in slots:
                both = (occurrence >= 0) & ~np.isnan(intensity)
                for name in np.unique(database[both]):
                    rows = np.nonzero(both & (database == name))[0]
                    parts.append(self._of_unit(dataset, number, rows, occurrence[rows] == 1, intensity[rows]))
        return pl.concat(parts)

    def _of_unit(
        self,
        dataset: AuditedDataset,
        number: int,
        rows: "np.ndarray[tuple[int], np.dtype[np.int64]]",
        present: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
        intensity: "np.ndarray[tuple[int], np.dtype[np.float32]]",
    ) -> pl.DataFrame:
        contradicting = [int((present != (intensity >= threshold)).sum()) for threshold in INTENSITIES]
        threshold = INTENSITIES[int(np.argmin(contradicting))]
        wrong = (present != (intensity >= threshold)) | (present & (intensity == 0))
        if not wrong.any():
            return no_findings()
        steps = np.where(present, threshold - intensity, intensity - threshold + 1)
        score = np.where(present & (intensity == 0), 1.0, 0.5 + 0.1 * steps)[wrong]
        columns = {"row": rows[wrong], "score": score, "present": present[wrong], "intensity": intensity[wrong]}
        found = dataset.identified(pl.DataFrame(columns))
        evidence = {
            "action_unit": number,
            "present": pl.col("present"),
            "intensity": pl.col("intensity"),
            "threshold": threshold,
        }
        return findings(found, pl.col("score"), self.severity, evidence)
