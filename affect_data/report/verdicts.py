"""What stands first in the report: what is wrong with the dataset, what that means, and what to do about it."""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from affect_data.audit.base import Severity
from affect_data.audit.registry import AUDITS
from affect_data.audit.run import NotAuditedError, read_audit
from affect_data.dataset.folder import AUDIT, DatasetFolder
from affect_data.report.html import Section
from affect_data.report.verdict import RANKS, Verdict, verdict_section
from affect_data.statistics.statistics import Statistics

UNEVEN: Final = 10.0
"""From this ratio of the largest class to the smallest on, an imbalance is a verdict."""

_TASKS: Final = {"au": "action units", "expression": "expressions", "va": "valence and arousal"}

_MEANINGS: Final = {
    "codes": (
        "Values that cannot be labels are learned as if they were.",
        "Compare the annotation files with the reader: `affect-data check` names file and line. Then build again.",
    ),
    "va_scale": (
        "Valence or arousal of a database lies on another scale than that of the others.",
        "Check the release of the database in the recipe, and build again.",
    ),
    "leakage": (
        "What is learned in one split is tested in another: the figures of the test are too good.",
        "Split again, so that people, videos and copies stay together: `affect-data folds DATASET --count 5 --name cv5 --copies`.",
    ),
    "duplicates": (
        "Copies count several times; across splits they are leaks, and with other labels one of them is wrong.",
        "Decide with `affect-data review DATASET --check duplicates`, and split again so that copies stay together: "
        "`affect-data folds DATASET --count 5 --name cv5 --copies`.",
    ),
}
"""What findings of a check mean and what to do about them; of other checks their rule says it."""


def verdicts(folder: DatasetFolder, found: Statistics, lock: dict[str, Any]) -> Section:
    """The section, most serious verdicts first.

    Args:
        folder: the dataset.
        found: its statistics.
        lock: what it was built from; empty if that is not known.
    """
    all_ = [*_about_files(lock), *_about_labels(found), *_about_the_audit(folder)]
    clean = "Nothing speaks against using this dataset: its files are whole, its audit has no findings."
    return verdict_section(all_, {"DATASET": folder.path.resolve().name}, clean)


def _about_files(lock: dict[str, Any]) -> Iterator[Verdict]:
    """Databases that are incomplete, faces without a row, damaged pictures."""
    for name, built in lock.get("databases", {}).items():
        if built.get("verdict") == "incomplete":
            yield Verdict(
                Severity.WARNING,
                f"{name} is incomplete: {'; '.join(built.get('losses', ()))}.",
                "Figures on it cannot be compared with those of others, who have all of it.",
                f"Restore the missing files of {name} and build again.",
            )
        failed, listed = sum(built.get("failures", {}).values()), built.get("lines", 0)
        if failed:
            yield Verdict(
                Severity.WARNING if failed > listed / 100 else Severity.REVIEW,
                f"{failed:,} of {listed:,} annotated faces of {name} have no row.",
                "Their labels are lost to the dataset; the reasons are below, under 'What was merged'.",
                "Read `failures.parquet` in the dataset's folder: it has a reason, a file and a line for each.",
            )
        if built.get("damaged"):
            yield Verdict(
                Severity.REVIEW,
                f"{built['damaged']:,} pictures of {name} are damaged: a part of them is lost.",
                "A grey half of a face carries labels that cannot be seen in it.",
                "Look at them: `affect-data audit DATASET --check half_decoded`, then `affect-data review DATASET --check half_decoded`.",
            )


def _about_labels(found: Statistics) -> Iterator[Verdict]:
    """Tasks that can be learned but not measured or the other way round, and labels that are rare."""
    counts = found.coverage.group_by("split").agg(pl.col(list(_TASKS)).sum())
    splits = {row["split"]: row for row in counts.iter_rows(named=True)}
    for task, name in _TASKS.items():
        having = [split for split, row in splits.items() if row[task]]
        lacking = sorted(split for split, row in splits.items() if not row[task])
        if having and lacking:
            yield Verdict(
                Severity.WARNING,
                f"Split {' and '.join(lacking)} has no labels of {name}.",
                f"A model's {name} can be learned or measured only on {', '.join(sorted(having))}.",
                "Add a database that has them there, or choose another policy of splits in the recipe.",
            )
    yield from _about_expressions(found)
    yield from _about_action_units(found)


def _about_expressions(found: Statistics) -> Iterator[Verdict]:
    rows = [(name, count) for name, count in found.expressions.iter_rows() if count]
    if len(rows) < 2:
        return
    (most, largest), (least, smallest) = max(rows, key=lambda row: row[1]), min(rows, key=lambda row: row[1])
    if largest >= UNEVEN * smallest:
        yield Verdict(
            Severity.REVIEW,
            f"Expressions are uneven: {largest:,} rows of {most}, {smallest:,} of {least} ({largest / smallest:.0f} to 1).",
            f"A model that never says {least} loses little accuracy; judge it by F1 of each class.",
            "Weigh the rows: `affect-data balance DATASET deng2020_expression --name even`.",
        )


def _about_action_units(found: Statistics) -> Iterator[Verdict]:
    coded = found.action_units.filter(pl.col("labelled") > 0)
    never = [f"AU{number}" for number in coded.filter(pl.col("present") == 0)["action_unit"]]
    if never:
        yield Verdict(
            Severity.WARNING,
            f"{', '.join(never)}: labelled, but never present.",
            "What is never present cannot be learned, and its F1 is not defined.",
            "Leave this out of `tasks.action_units` in the training recipe, or check the reader that labels it.",
        )
    shown = coded.filter(pl.col("present") > 0).sort("rate")
    if len(shown) > 1 and shown["present"].max() >= UNEVEN * shown["present"].min():  # type: ignore[operator]
        rarest = shown.sort("present").row(0, named=True)
        yield Verdict(
            Severity.REVIEW,
            f"Action units are uneven: AU{rarest['action_unit']} is present in only {rarest['present']:,} of {rarest['labelled']:,} labelled rows.",
            "Accuracy is high for a model that never finds it; judge action units by average precision beside F1.",
            "Weigh the rows: `affect-data balance DATASET deng2020 --name even`.",
        )


def _about_the_audit(folder: DatasetFolder) -> Iterator[Verdict]:
    """A verdict for each check with findings, or one that the audit is missing."""
    try:
        found = read_audit(folder.path)
    except NotAuditedError:
        stale = (folder.path / AUDIT).is_file()
        yield Verdict(
            Severity.WARNING,
            "The labels have changed since the last audit." if stale else "The dataset was not audited.",
            "Whether it holds leaks, copies, contradictions or wrong codes is not known.",
            "`affect-data audit DATASET`, then write this report again.",
        )
        return
    for check, rows in found.group_by("check", maintain_order=True):
        name = str(check[0])
        severity = min((Severity(one) for one in rows["severity"].unique()), key=RANKS.index)
        title = AUDITS[name].title if name in AUDITS else name
        rule = f"Found: {AUDITS[name].rule}." if name in AUDITS else "A check of another version of affectkit."
        means, do = _MEANINGS.get(
            name, (rule, f"Look at the faces and decide: `affect-data review DATASET --check {name}`.")
        )
        faces = rows.select("split", "uid").n_unique()
        worst = int((rows["severity"] == severity.value).sum())
        errors = f", {_counted(worst, 'finding')} of kind 'error'" if severity is Severity.ERROR else ""
        yield Verdict(severity, f"{title[:1].upper()}{title[1:]}: {_counted(faces, 'face')}{errors}.", means, do)


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
