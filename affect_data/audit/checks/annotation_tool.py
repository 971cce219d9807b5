"""Finds valence and arousal that a database's annotation tool did not offer for the labelled expression."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.databases.registry import DATABASES

ROUNDING: Final = 0.001


class AnnotationTool(Audit):
    """Valence and arousal outside the region of the expression."""

    name = "annotation_tool"
    title = "valence and arousal outside the tool's region"
    severity = Severity.WARNING
    rule = (
        "valence or arousal outside the region that the database's annotation tool had for the expression, as far as it is published: AffectNet's "
        "happiness, valence in (0, 1] and arousal in [-0.2, 0.5]. Score: 0.5 plus half of the distance to the region"
    )
    source = "Mollahosseini, Hasani & Mahoor, AffectNet, IEEE TAFFC 10 (2019), section on dimensional annotation"
    example = "happiness with valence 0.6 and arousal 0.8 in AffectNet (score 0.65)"

    def not_applicable(self, dataset: AuditedDataset) -> str:
        """The check needs a database that states the regions of its tool."""
        known = any(DATABASES[name].tool_regions for name in dataset.folder.manifest.databases if name in DATABASES)
        return "" if known else "no database of this dataset says which regions its annotation tool had"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row outside of its region."""
        columns = ("uid", "database", "expression", "expression_mask", "valence", "arousal", "va_mask")
        return pl.concat([no_findings(), *(part for b in dataset.blocks(*columns) for part in self._outside(b))])

    def _outside(self, block: pl.DataFrame) -> Iterator[pl.DataFrame]:
        labelled = block.filter(pl.col("expression_mask") & pl.col("va_mask"))
        for name in labelled["database"].unique().sort():
            regions = DATABASES[name].tool_regions if name in DATABASES else {}
            for expression, (left, right, low, high) in regions.items():
                rows = labelled.filter((pl.col("database") == name) & (pl.col("expression_name") == expression))
                beyond = [
                    pl.max_horizontal(pl.lit(least) - pl.col(dimension), pl.col(dimension) - most, 0.0)
                    for dimension, least, most in (("valence", left, right), ("arousal", low, high))
                ]
                rows = rows.with_columns((beyond[0] ** 2 + beyond[1] ** 2).sqrt().alias("beyond"))
                rows = rows.filter((pl.col("beyond") > ROUNDING) | (pl.col("valence") == left))
                evidence = {
                    "expression": expression,
                    "valence": pl.col("valence"),
                    "arousal": pl.col("arousal"),
                    "region": f"valence {left:g} to {right:g}, arousal {low:g} to {high:g}",
                }
                yield findings(rows, 0.5 + 0.5 * pl.col("beyond"), self.severity, evidence)
