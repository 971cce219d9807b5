import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image
from training_runs import TINY_VIT, fresh_accelerator

from affect_data.dataset.folder import ORIGINS, Fingerprints, Manifest
from affect_data.dataset.hashing import combined_hash, content_hash, dataset_fingerprint
from affect_data.dataset.layout import (
    COMPOUND,
    PEOPLE,
    PEOPLE_COLUMNS,
    Layout,
    origin_features,
    origins_of,
    shown_hash,
)
from affect_data.dataset.schema import IMAGES, LABELS, arrow_schema
from affect_data.dataset.side.groups import SideColumn
from affect_data.dataset.writing import labels_fingerprint, seal_group, shard_name, write_manifest, write_shard
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS, EXPRESSIONS

TRAINED_UNITS = (1, 12, 25)
DATABASES = ("affwild2", "expw")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> Iterator[None]:
    yield
    fresh_accelerator()


def face_bytes(number: int, size: int = 40) -> bytes:
    """A drawn stand-in for a face: its colours follow from the number; JPEG for even numbers, PNG for odd ones."""
    rng = np.random.default_rng(number)
    blocks = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize((size, size), Image.Resampling.BICUBIC)
    sink = io.BytesIO()
    image.save(sink, *(("JPEG",) if number % 2 == 0 else ("PNG",)))
    return sink.getvalue()


def label_row(number: int, tasks: tuple[str, ...]) -> dict[str, Any]:
    """A row whose labels follow from its number; tasks that are not named are missing."""
    au, au_mask = np.full(len(ACTION_UNITS), -1), np.zeros(len(ACTION_UNITS), dtype=bool)
    if "au" in tasks:
        slots = [ACTION_UNIT_SLOTS[unit] for unit in TRAINED_UNITS]
        au[slots], au_mask[slots] = [number % 2, number // 2 % 2, number // 3 % 2], True
    expression = number % 7 if "expression" in tasks else -1
    valence, arousal = ((number % 11) / 5 - 1, (number % 5) / 2 - 1) if "va" in tasks else (np.nan, np.nan)
    return {
        "uid": f"{DATABASES[number % 2]}:clip{number // 4}/{number:05d}#0",
        "database": number % 2,
        "release": "demo",
        # Validation rows have numbers from 100, and people of their own.
        "subject": f"s{number % 3 + 3 * (number // 100)}",
        "track": f"clip{number // 4}",
        "frame": number,
        "face": 0,
        "source_file": "labels.txt",
        "source_line": number + 1,
        "au": au.tolist(),
        "au_mask": au_mask.tolist(),
        "au_intensity": [np.nan] * len(ACTION_UNITS),
        "au_intensity_mask": [False] * len(ACTION_UNITS),
        "expression": expression,
        "expression_mask": expression >= 0,
        "expression_votes": [np.nan] * len(EXPRESSIONS),
        "compound_expression": -1,
        "compound_expression_mask": False,
        "valence": valence,
        "arousal": arousal,
        "va_mask": "va" in tasks,
        "label_scope": 0,
        "face_box": [4.0, 4.0, 36.0, 36.0] if number % 3 else [np.nan] * 4,
        "image_digest": hashlib.sha256(str(number).encode()).hexdigest(),
    }


def write_dataset(
    path: Path,
    splits: dict[str, list[tuple[int, tuple[str, ...]]]],
    shards: int = 2,
    face: Callable[[int], bytes] = face_bytes,
    edit: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    declared: tuple[SideColumn, ...] = (),
) -> Path:
    """A dataset folder whose rows are given by number and tasks, each group in several files.

    `edit` changes a row's labels, and adds the values of the columns of side groups that are `declared`.
    """
    labels = {split: _labels([edit(label_row(*row)) for row in rows], declared) for split, rows in splits.items()}
    labels, origins = _with_origins(labels)
    layout = _layout(pl.concat(labels.values()), declared)
    written: dict[str, dict[str, list[str]]] = {}
    for split, rows in splits.items():
        faces = [{"image": {"bytes": face(number), "path": None}} for number, _ in rows]
        images = pa.Table.from_pylist(faces, schema=arrow_schema(IMAGES))
        written[split] = _write_split(path / split, layout, labels[split], images, shards)
    manifest = Manifest(
        fingerprints=Fingerprints(pictures=_hash(written, IMAGES), labels="", people=_hash(written, PEOPLE)),
        layout=layout,
        origins={name: _write_origins(path / ORIGINS / name, table) for name, table in origins.items()},
        rows={split: len(rows) for split, rows in splits.items()},
        groups={
            split: {group: combined_hash(hashes, group) for group, hashes in groups.items() if group != PEOPLE}
            for split, groups in written.items()
        },
        shards=written,
    )
    manifest.fingerprints = manifest.fingerprints.model_copy(update={"labels": labels_fingerprint(manifest)})
    write_manifest(path, manifest)
    return path


def _labels(rows: list[dict[str, Any]], declared: tuple[SideColumn, ...]) -> pl.DataFrame:
    frame = pl.from_arrow(pa.Table.from_pylist(rows, schema=arrow_schema(LABELS)))
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.Series(column.name, [row[column.name] for row in rows]) for column in declared)


def _with_origins(labels: dict[str, pl.DataFrame]) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
    """The labels by split with their origins, and the origins by database."""
    rows = pl.concat(frame.with_columns(split=pl.lit(split)) for split, frame in labels.items()).with_row_index("row")
    found = {name: origins_of(rows.filter(pl.col("database") == code)) for code, name in enumerate(DATABASES)}
    numbered = pl.concat(part for part, _ in found.values()).sort("row")
    return (
        {split: numbered.filter(pl.col("split") == split).drop("row", "split") for split in labels},
        {name: table for name, (_, table) in found.items()},
    )


def _layout(rows: pl.DataFrame, declared: tuple[SideColumn, ...]) -> Layout:
    """Places for what the rows say."""
    coded = rows["au_mask"].to_numpy().any(axis=0)
    boxes = rows["face_box"].to_numpy()
    return Layout(
        databases=DATABASES,
        action_units=tuple(unit for unit in ACTION_UNITS if coded[ACTION_UNIT_SLOTS[unit]]),
        boxes="none" if np.isnan(boxes).all() else "whole" if (np.isnan(boxes) | (boxes % 1 == 0)).all() else "exact",
        side=(COMPOUND,) if rows["compound_expression_mask"].any() else (),
        declared=declared,
    )


def _write_split(
    folder: Path, layout: Layout, labels: pl.DataFrame, images: pa.Table, shards: int
) -> dict[str, list[str]]:
    """Writes every column group of a split; returns the fingerprints of their shards, and of those of the people."""
    names = [shard_name(index, shards) for index in range(shards)]
    bounds = np.linspace(0, len(labels), shards + 1).astype(int)
    groups = (*layout.groups, *layout.side_groups)
    written: dict[str, list[str]] = {group: [] for group in (IMAGES, *groups, PEOPLE)}
    for name, start, end in zip(names, bounds, bounds[1:], strict=False):
        rows = labels[start:end]
        write_shard(folder / IMAGES / name, images.slice(start, end - start), layout.features(IMAGES))
        written[IMAGES].append(shown_hash(rows))
        written[PEOPLE].append(content_hash(rows.select(PEOPLE_COLUMNS).to_arrow()))
        for group in groups:
            stored = layout.stored(rows, group)
            write_shard(folder / group / name, stored, layout.features(group))
            written[group].append(content_hash(stored))
    for group in (IMAGES, *groups):
        seal_group(folder / group, names, layout.features(group), combined_hash(written[group], group), folder.name)
    return written


def _write_origins(folder: Path, origins: pl.DataFrame) -> str:
    described = origin_features()
    table = origins.to_arrow().cast(described.arrow_schema)
    fingerprint = content_hash(table, seed=folder.name)
    write_shard(folder / shard_name(0, 1), table, described)
    seal_group(folder, [shard_name(0, 1)], described, fingerprint, ORIGINS)
    return fingerprint


def _hash(written: dict[str, dict[str, list[str]]], group: str) -> str:
    return dataset_fingerprint({split: {group: combined_hash(groups[group])} for split, groups in written.items()})


ALL = ("au", "expression", "va")
PARTIAL = (("au",), ("expression",), ("va",), ("au", "va"))


@pytest.fixture(scope="session")
def world() -> SimpleNamespace:
    """What draws the faces and writes the datasets of these tests."""
    return SimpleNamespace(
        face_bytes=face_bytes, label_row=label_row, write_dataset=write_dataset, all=ALL, tiny_vit=TINY_VIT
    )


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 partially labelled rows for training, 21 fully labelled ones for validation; never written to."""
    train = [(number, PARTIAL[number % 4]) for number in range(40)]
    validation = [(number, ALL) for number in range(100, 121)]
    return write_dataset(tmp_path_factory.mktemp("data") / "merged", {"train": train, "validation": validation})


@pytest.fixture
def own_dataset(tmp_path: Path) -> Path:
    """A dataset that a test may write to."""
    train = [(number, PARTIAL[number % 4]) for number in range(16)]
    return write_dataset(
        tmp_path / "merged", {"train": train, "validation": [(number, ALL) for number in range(100, 109)]}
    )


@pytest.fixture
def recipe_values(dataset: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Values of a recipe for the tiny dataset and a tiny ViT; keywords replace sections."""

    def values(**sections: Any) -> dict[str, Any]:
        return {
            "dataset": str(dataset),
            "output": str(tmp_path / "run"),
            "tasks": {"action_units": [1, 12, 25], "expression": "aff_wild2_7", "valence_arousal": {"bins": 5}},
            "model": {"backbone": TINY_VIT, "image_size": 32, "dropout": 0.1},
            "batches": {"size": 12},
            "augmentation": {"flip": True, "rotation_degrees": 10, "noise": 0.02},
            "training": {"epochs": 1, "log_every": 2},
            **sections,
        }

    return values


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    """A tiny ViT as transformers saves it."""
    from transformers import AutoConfig, AutoModel

    settings = {key: value for key, value in world.tiny_vit.items() if key != "model_type"}
    torch.manual_seed(4)
    model = AutoModel.from_config(AutoConfig.for_model("vit", image_size=32, **settings))
    folder = tmp_path_factory.mktemp("backbones") / "tiny"
    model.save_pretrained(folder)
    return folder
