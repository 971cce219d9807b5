"""The table of labels: findings, copies and what teachers say, spread over the rows."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from affect_data.audit.base import FINDINGS
from affect_data.audit.run import write_audit
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.soft_labels import write_soft_labels
from affect_data.errors import DataError, UsageError
from affect_data.viewing.queue import named_queue, read_uids, review_queue
from affect_data.viewing.table import LabelTable, label_table, with_listed
from affect_data.viewing.teachers import opinions
from affect_data.vocabulary import EXPRESSIONS


def test_rows_of_all_splits_follow_one_another(table: LabelTable, looked_at: DatasetFolder) -> None:
    uids = [uid for split in looked_at.splits for uid in looked_at.labels(split)["uid"]]
    assert table.frame["uid"].to_list() == uids
    for row in (0, looked_at.rows("train") - 1, looked_at.rows("train"), len(table) - 1):
        split, number = table.place(row)
        assert looked_at.labels(split)["uid"][number] == uids[row]
        assert table.row(split, number) == row


def test_findings_lie_on_their_rows_with_the_worst_in_front(dataset: DatasetFolder) -> None:
    uids = dataset.labels("validation")["uid"].head(2).to_list()
    found = [
        ("label_errors", "review", 0.9, 0),
        ("codes", "error", 0.4, 0),
        ("label_errors", "review", 0.7, 0),
        ("flicker", "warning", 0.2, 1),
    ]
    rows = [
        {"uid": uids[i], "split": "validation", "check": c, "severity": s, "score": n, "evidence": "{}"}
        for c, s, n, i in found
    ]
    write_audit(dataset, pl.DataFrame(rows, schema=FINDINGS))
    table = label_table(open_dataset(dataset.path))
    first = dataset.rows("train")
    named = table.frame.with_row_index("row").filter(pl.col("severity").is_not_null())
    columns = ["row", "severity", "score", "finding.label_errors", "finding.codes", "finding.flicker"]
    assert named.select(columns).rows() == [
        (first, 0, pytest.approx(0.4), pytest.approx(0.9), pytest.approx(0.4), None),
        (first + 1, 1, pytest.approx(0.2), None, None, pytest.approx(0.2)),
    ]
    assert sorted(table.checks) == ["codes", "flicker", "label_errors"]


def test_without_an_audit_copies_are_faces_of_the_very_same_picture(
    table: LabelTable, looked_at: DatasetFolder
) -> None:
    assert "was not audited" in table.not_audited
    parts = [looked_at.labels(split, ["image_digest", "face"]) for split in looked_at.splits]
    count = pl.concat(parts).select(pl.len().over("image_digest", "face"))["len"]
    assert (table.frame["copies"].is_not_null() == (count > 1)).all()
    assert (count > 1).any()


def test_a_teacher_is_as_far_from_a_label_as_its_probabilities_say(dataset: DatasetFolder) -> None:
    rng = np.random.default_rng(3)
    classes, units, bins = ("happiness", "fear", "neutral", "anger"), (25, 1), 20
    provenance = SoftLabelProvenance(
        name="t", made_from=SOFT_LABELS.made_from(dataset), teacher_id="t", teacher_revision="1", view="v", out_of_fold=True,
        expressions=classes, action_units=units, valence_arousal_bins=bins,
    )  # fmt: skip
    widths = {"expression": 4, "au": 2, "valence": bins, "arousal": bins}
    logits = {
        split: {
            head: rng.normal(0, 2, (dataset.rows(split), width)).astype(np.float16) for head, width in widths.items()
        }
        for split in dataset.splits
    }
    folder = write_soft_labels(dataset.path, provenance, logits)
    table = label_table(folder)
    assert table.teachers == {"t": ("expression", "au", "va")}
    for row in (*range(0, len(table), 7), len(table) - 1):
        split, number = table.place(row)
        labels = table.frame.row(row, named=True)
        raw = {head: values[number].astype(np.float64) for head, values in logits[split].items()}
        share = {head: np.exp(values) / np.exp(values).sum() for head, values in raw.items()}
        name = EXPRESSIONS[labels["expression"]] if labels["expression"] >= 0 else ""
        expected = 1 - share["expression"][classes.index(name)] if name in classes else None
        assert labels["soft.t.expression"] == (None if expected is None else pytest.approx(expected, abs=1e-3))
        assert labels["confidence.t"] == pytest.approx(share["expression"].max(), abs=1e-3)
        coded = [
            abs(1 / (1 + np.exp(-raw["au"][i])) - labels[f"au{n}"])
            for i, n in enumerate(units)
            if labels[f"au{n}"] >= 0
        ]
        assert labels["soft.t.au"] == (pytest.approx(max(coded), abs=1e-3) if coded else None)
        said = [share[head] @ (np.arange(bins) * 2 / bins - 1 + 1 / bins) for head in ("valence", "arousal")]
        if labels["valence"] is None:
            assert labels["soft.t.va"] is None
        else:
            apart = np.hypot(said[0] - labels["valence"], said[1] - labels["arousal"]) / 8**0.5
            assert labels["soft.t.va"] == pytest.approx(apart, abs=1e-3)
    (opinion,) = opinions(folder, *table.place(5))
    assert opinion["va"] == pytest.approx(expected_va(logits["train"], 5, bins), abs=1e-3)
    assert sum(opinion["expression"].values()) == pytest.approx(1, abs=1e-3)


def expected_va(heads: dict[str, Any], row: int, bins: int) -> list[float]:
    found = []
    for head in ("valence", "arousal"):
        weights = np.exp(heads[head][row].astype(np.float64))
        found.append(float(weights / weights.sum() @ (np.arange(bins) * 2 / bins - 1 + 1 / bins)))
    return found


def test_a_queue_is_a_view_of_findings_or_of_named_rows(table: LabelTable, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was not audited"):
        review_queue(table)
    (tmp_path / "u").write_text(f"\n{table.frame['uid'][9]}\nnobody\n{table.frame['uid'][2]}\n")
    uids = read_uids(tmp_path / "u")
    queue = named_queue(with_listed(table, uids), uids)
    assert (queue.address, queue.skipped) == ("rows=listed&sort=listed", 1)
    (tmp_path / "u").write_text("\n")
    with pytest.raises(UsageError, match="names no uid"):
        read_uids(tmp_path / "u")
    with pytest.raises(DataError, match="has none of the 1 uids that were named"):
        with_listed(table, ["nobody"])
