"""Finds values that cannot be labels of their database: out of range, sentinels, or codes that the database does not have."""

from typing import Final

import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings, units_named
from affect_data.databases.base import Database
from affect_data.dataset.folder import LABEL_NAMES
from affect_data.dataset.merged import databases_of
from affect_data.dataset.schema import RULES, UNIQUE, Rule
from affect_data.vocabulary import ACTION_UNITS

SCALE_ROWS: Final = 200
SCALE_REACH: Final = 0.2


class Codes(Audit):
    """Values and codes that cannot be labels."""

    name = "codes"
    title = "codes and ranges"
    severity = Severity.ERROR
    rule = "a row breaks a rule of the schema, or has an action unit, an expression or valence and arousal that its database does not code. Score: 1"
    source = "the schema (docs/schema.md) and what every database says of itself (docs/databases.md)"
    example = (
        "`valence = -5` with `va_mask` set (the sentinel of Aff-Wild2 read as a label); AU45 labelled in "
        "DISFA, which does not code it"
    )

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row and rule."""
        readers, parts = databases_of(dataset.folder), [no_findings()]
        rules = {rule.name: rule for rule in RULES}
        unique = rules.pop(UNIQUE)
        parts.append(self._breaking(unique, dataset.identified(_repeated(dataset))))
        for block in dataset.blocks(*LABEL_NAMES):
            parts += [self._breaking(rule, block.filter(~rule.holds(block))) for rule in rules.values()]
            for (name,), rows in block.group_by("database", maintain_order=True):
                if name in readers:
                    parts.append(self._uncoded(rows, readers[str(name)]))
        return pl.concat(parts)

    def _breaking(self, rule: Rule, rows: pl.DataFrame) -> pl.DataFrame:
        return findings(rows, pl.lit(1.0), self.severity, {"rule": rule.name, "holds": rule.description})

    def _uncoded(self, rows: pl.DataFrame, reader: type[Database]) -> pl.DataFrame:
        coded = {*reader.action_units, *reader.action_unit_intensities}
        foreign = [number not in coded for number in ACTION_UNITS]
        labelled = rows["au_mask"].to_numpy() | rows["au_intensity_mask"].to_numpy()
        units = pl.Series("found", units_named(labelled & foreign), dtype=pl.String)
        strange = ~pl.col("expression_name").is_in(list(reader.expressions)) & pl.col("expression_mask")
        # Some databases mark another expression by a flag, not by a code.
        strange &= pl.col("expression_name") != "other"
        valence = pl.col("va_mask") if not reader.valence_arousal else pl.lit(value=False)
        rows = rows.with_columns(units)
        picked = [
            (pl.col("found") != "", pl.col("found")),
            (strange, pl.col("expression_name")),
            (valence, pl.lit("valence and arousal")),
        ]
        return pl.concat(
            [
                findings(rows.filter(broken), pl.lit(1.0), self.severity, {"rule": "database_codes_it", "found": found})
                for broken, found in picked
            ]
        )


class Scale(Audit):
    """Databases whose valence and arousal look as if their range had not been converted."""

    name = "va_scale"
    title = "range of valence and arousal"
    severity = Severity.WARNING
    rule = (
        f"of at least {SCALE_ROWS} labels of a database, none leaves [-{SCALE_REACH}, {SCALE_REACH}] (divided too often), or none is negative "
        "(0..1 taken for -1..1). One finding a database and dimension, on its first row. Score: 0.9"
    )
    source = "native ranges differ: -10..10 (AFEW-VA), -1000..1000 (Aff-Wild), 0..1 and 1..9 (others)"
    example = "AFEW-VA divided by 100 instead of 10: all valence within ±0.1"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """At most two findings for each database: one for each dimension."""
        parts = [no_findings()]
        rows = dataset.rows("database", "valence", "arousal", "va_mask").filter("va_mask")
        for (database,), own in rows.group_by("database", maintain_order=True):
            for dimension in ("valence", "arousal"):
                low, high = float(own[dimension].min()), float(own[dimension].max())  # type: ignore[arg-type]
                narrow = max(abs(low), abs(high)) <= SCALE_REACH
                if len(own) < SCALE_ROWS or not (narrow or low >= 0):
                    continue
                # Arousal without a negative value is common: faces are often chosen because they show something.
                if dimension == "arousal" and not narrow:
                    continue
                evidence = {
                    "database": database,
                    "dimension": dimension,
                    "lowest": low,
                    "highest": high,
                    "labels": len(own),
                }
                parts.append(findings(dataset.identified(own.head(1)), pl.lit(0.9), self.severity, evidence))
        return pl.concat(parts)


def _repeated(dataset: AuditedDataset) -> pl.DataFrame:
    """The rows, by `row`, whose uid another row of the same split has; a row may be in two splits."""
    hashes = [block.select("row", pl.struct("split", "uid").hash().alias("hash")) for block in dataset.blocks("uid")]
    # Few hashes of 64 bits are equal by chance, and then the uids decide.
    suspects = pl.concat(hashes).filter(pl.col("hash").is_duplicated()).select("row")
    return dataset.identified(suspects).filter(pl.struct("split", "uid").is_duplicated()).select("row")
