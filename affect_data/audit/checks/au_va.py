"""Finds action units that contradict valence."""

from typing import Final

import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.vocabulary import slot_of

MARGIN: Final = 0.3


class ActionUnitValence(Audit):
    """Smiles with negative valence, and grimaces of disgust with positive valence."""

    name = "au_va"
    title = "action units against valence"
    severity = Severity.REVIEW
    rule = (
        f"AU6 and AU12 with valence < -{MARGIN}; AU4 with AU9 or AU10, without AU12, and valence > {MARGIN}. "
        "Score: from 0.5 at the limit to 1 at the end of the range"
    )
    source = "AU6+12 is the smile of enjoyment (Ekman, Davidson & Friesen 1990), AU4+9/10 disgust (Du, Tao & Martinez 2014, Table 1)"
    example = "AU6 and AU12 with valence -0.65 (score 0.75)"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row that breaks a rule."""
        return pl.concat(
            [no_findings(), *(self._found(block) for block in dataset.blocks("uid", "au", "valence", "va_mask"))]
        )

    def _found(self, block: pl.DataFrame) -> pl.DataFrame:
        slots = block["au"].to_numpy()
        present = {number: slots[:, slot_of(number)] == 1 for number in (4, 6, 9, 10, 12)}
        smile = present[6] & present[12]
        disgust = present[4] & (present[9] | present[10]) & ~present[12]
        valence = pl.col("valence")
        rows = block.with_columns(pl.Series("smile", smile), pl.Series("disgust", disgust)).filter("va_mask")
        signed = pl.when(pl.col("smile")).then(-valence).when(pl.col("disgust")).then(valence)
        rows = rows.with_columns(signed.alias("excess")).filter(pl.col("excess") > MARGIN)
        units = pl.when(pl.col("smile")).then(pl.lit("AU6 AU12")).otherwise(pl.lit("AU4 with AU9 or AU10"))
        score = 0.5 + 0.5 * (pl.col("excess") - MARGIN) / (1 - MARGIN)
        return findings(rows, score, self.severity, {"action_units": units, "valence": valence})
