"""Finds people, videos and copies of pictures that are in two splits."""

import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.databases.families import FAMILIES, shared_picture
from affect_data.dataset.merged import databases_of
from affect_data.leaks.leaks import PICTURE_NAME, find_leaks, source_family


class Leakage(Audit):
    """Rows whose subject, track or copies are also in an earlier split."""

    name = "leakage"
    title = "leaks between splits"
    severity = Severity.ERROR
    rule = (
        "a subject, a track or a picture that several databases have under one name, each within a source family, or a group of copies "
        "of any databases, has rows in two splits, over all tasks; found on the rows that "
        "are not train. Score: 1; for copies their correlation"
    )
    source = "the leak guard of every build (affect_data.leaks.leaks), with the groups of the check `duplicates`"
    example = (
        "the actor of two AFEW-VA clips in train and in validation; a FER+ picture in `FER2013Train` and `FER2013Valid`"
    )

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row and kind of leak that it is part of."""
        readers = databases_of(dataset.folder)
        labels = dataset.identified(_suspects(dataset)).with_columns(
            pl.col("database")
            .replace_strict({name: source_family(name, readers) for name in dataset.folder.manifest.databases})
            .alias("source_family")
        )
        several = pl.col("uid").n_unique().over("of_row") > 1
        firsts = dataset.identified(labels.select("of_row").unique().rename({"of_row": "row"}))
        groups = firsts.select(pl.col("row").alias("of_row"), pl.col("uid").alias("group"))
        labels = labels.with_columns(_picture_name()).join(groups, on="of_row", maintain_order="left")
        copied = labels.select(pl.when(several).then("group").alias("group"))["group"]
        leaks = find_leaks(labels, copied, readers)
        parts = [no_findings()]
        for kind in ("subject", "track", PICTURE_NAME, "group"):
            own = leaks.filter(pl.col("kind") == kind).select(
                "key", "splits", "source_family", pl.col("rows").alias("leaking")
            )
            keys = ["key"] if kind == "group" else ["key", "source_family"]
            rows = labels.with_columns(pl.col(kind).alias("key")).join(own, on=keys, how="inner", maintain_order="left")
            evidence = {"kind": kind, "key": pl.col("key"), "splits": pl.col("splits"), "rows": pl.col("leaking")}
            score = pl.col("correlation") if kind == "group" else pl.lit(1.0)
            parts.append(findings(rows.filter(pl.col("split") != "train"), score, self.severity, evidence))
        return pl.concat(parts)


def _suspects(dataset: AuditedDataset) -> pl.DataFrame:
    """The rows that a leak may be among, with `of_row` and `correlation` of their copies: few, so that the guard may compare texts.

    They share a person, a video or copies with another split, or are of a family whose pictures have names.
    """
    copies, readers = dataset.copies, databases_of(dataset.folder)
    named = [n for n in dataset.folder.manifest.databases if shared_picture(source_family(n, readers)) is not None]
    rows = dataset.rows("database", "subject", "track").with_columns(
        pl.Series("of_row", copies.of_row), pl.Series("correlation", copies.correlation)
    )
    suspects = [
        rows.filter(pl.col("database").cast(pl.String).is_in(named)).select("row"),
        *(_in_several(rows.filter(pl.col(name) != ""), name) for name in ("subject", "track")),
        _in_several(rows.filter(copies.level != ""), "of_row"),
    ]
    return rows.filter(pl.col("row").is_in(pl.concat(suspects)["row"].unique()))


def _in_several(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    """The `row` of each row whose key rows of several splits have."""
    shared = rows.group_by(key).agg(pl.col("split").n_unique().alias("splits")).filter(pl.col("splits") > 1)
    return rows.join(shared, on=key, how="semi").select("row")


def _picture_name() -> pl.Expr:
    """The name under which several databases of a row's family have the same picture; null if there is none."""
    names = [
        pl.when(pl.col("source_family") == name).then(pl.col("uid").str.extract(family.picture.pattern, 1))
        for name, family in FAMILIES.items()
        if family.picture is not None
    ]
    return pl.coalesce(names).alias(PICTURE_NAME)
