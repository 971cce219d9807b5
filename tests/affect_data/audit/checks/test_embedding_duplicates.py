"""Copies as neighbours among stored features."""

import json
from collections.abc import Callable

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from datasets import Features, List, Value

from affect_data.audit.base import AuditedDataset
from affect_data.audit.checks import embedding_duplicates
from affect_data.audit.checks.embedding_duplicates import EmbeddingDuplicates, neighbours, whitened
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.writing import add_group

WIDTH = 16


def with_features(folder: DatasetFolder, values: np.ndarray, pictures: str | None = None) -> DatasetFolder:
    tables, start = [], 0
    for split in folder.splits:
        own = np.ascontiguousarray(values[start : start + folder.rows(split)]).astype(np.float16)
        start += len(own)
        column = pa.FixedSizeListArray.from_arrays(pa.array(own.reshape(-1)), WIDTH)
        tables.append((split, pa.table({"features.net": column})))
    described = Features({"features.net": List(Value("float16"), length=WIDTH)})
    made_from = {"pictures": pictures or folder.manifest.fingerprints.pictures}
    return add_group(folder, "features.net", tables, described, {"made_from": made_from})


def test_neighbours_are_those_of_comparing_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_duplicates, "_PRODUCTS_AT_ONCE", 700)
    rng = np.random.default_rng(0)
    features = whitened(rng.normal(size=(100, 8)))
    track, part = rng.integers(0, 40, 100), rng.integers(0, 2, 100)
    found = neighbours(features, track, part, least=0.6)
    for row in range(100):
        cosines = {other: float(features[row] @ features[other]) for other in range(100) if track[other] != track[row]}
        near = [other for other, cosine in cosines.items() if cosine >= 0.6]
        assert found.count[row] == len(near)
        assert found.elsewhere[row] == any(part[other] != part[row] for other in near)
        assert found.nearest[row] == max(cosines, key=cosines.__getitem__)


def test_whitening_makes_unrelated_rows_orthogonal_and_keeps_copies_together() -> None:
    rng = np.random.default_rng(0)
    # All rows share most of what they are, as faces of one pose and light do.
    common = rng.normal(size=(1, 64)) * 10 * rng.normal(size=(4000, 1))
    rows = common + rng.normal(size=(4000, 64))
    rows[1] = rows[0] + 0.1 * rng.normal(size=64)
    raw = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.abs(raw[2:600] @ raw[600:1200].T).mean() > 0.5
    white = whitened(rows.astype(np.float32))
    cosines = white[:1000] @ white[:1000].T
    np.fill_diagonal(cosines, 0)
    assert np.argwhere(cosines > 0.7).tolist() == [[0, 1], [1, 0]]
    assert not whitened(np.ones((50, 4), np.float32)).any()


def test_copies_by_embedding_are_found_across_splits_but_not_within_a_track(
    make_dataset: Callable[..., DatasetFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_duplicates, "LEAST_ROWS", 10)
    monkeypatch.setattr(embedding_duplicates, "ROWS_A_COMPONENT", 4)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, WIDTH))
    values[198], values[199], values[21], values[31] = values[5], values[6], values[20], values[30] * 1.01
    train = [{"uid": f"{i:03d}", "track": "video" if i in (20, 21) else ""} for i in range(195)]
    train[5]["expression"] = "fear"
    validation = [{"uid": f"{i:03d}", "expression": "anger"} for i in range(195, 200)]
    dataset = AuditedDataset(with_features(make_dataset({"train": train, "validation": validation}), values))
    assert EmbeddingDuplicates().not_applicable(dataset) == ""
    found = EmbeddingDuplicates().find(dataset).filter(pl.col("score") > 0.99)
    named = {
        uid: (severity, json.loads(text))
        for uid, severity, text in found.select("uid", "severity", "evidence").iter_rows()
    }
    assert sorted(named) == ["005", "006", "030", "031", "198", "199"]
    assert {uid: severity for uid, (severity, _) in named.items()} == {
        "005": "warning", "006": "warning", "030": "review", "031": "review", "198": "warning", "199": "warning",
    }  # fmt: skip
    evidence = named["198"][1]
    assert (evidence["nearest"], evidence["nearest_split"], evidence["features"]) == ("005", "train", "net")
    assert (evidence["expression"], evidence["nearest_expression"]) == ("anger", "fear")


def test_features_of_other_labels_are_not_used_and_few_rows_are_not_compared(
    make_dataset: Callable[..., DatasetFolder],
) -> None:
    folder = make_dataset({"train": [{}] * 8})
    assert "no stored features" in EmbeddingDuplicates().not_applicable(AuditedDataset(folder))
    values = np.random.default_rng(0).normal(size=(8, WIDTH))
    stale = AuditedDataset(with_features(folder, values, "0" * 16))
    assert stale.feature_names() == ()
    assert "no stored features" in EmbeddingDuplicates().not_applicable(stale)
    fresh = AuditedDataset(with_features(folder, values))
    assert fresh.features("net")[:] == pytest.approx(values, abs=2e-3)
    assert EmbeddingDuplicates().not_applicable(fresh) == "8 rows; neighbours are looked for among 4,096 to 200,000"
