"""A dataset of drawn faces with every label that the demo world knows, not only those of its databases, for evaluating models."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from affect_data.dataset.folder import FAILURES, ORIGINS, DatasetFolder, open_dataset
from affect_data.dataset.hashing import combined_hash, content_hash
from affect_data.dataset.layout import COMPOUND, PEOPLE, Layout
from affect_data.dataset.schema import IMAGES, LABELS
from affect_data.dataset.writing import (
    LABELS_PER_BATCH,
    labels_fingerprint,
    seal_group,
    shard_name,
    write_manifest,
    write_shard,
)
from affect_data.demo.sampler import DEMO_ACTION_UNITS
from affect_data.errors import DataError
from affect_data.files import link_file, written_folder
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS

KEYS: Final = ("database", "image", "face")

UNKNOWN_SHARE: Final = 0.05
"""The share of rows that may show no drawn face, such as the pictures that FER+ calls "not a face"."""


def reveal(dataset: Path, truth: Path, out: Path) -> DatasetFolder:
    """A new dataset with the same rows and pictures and the truth as labels: all drawn action units, the shown expression, valence and arousal.

    A picture that shows no face has no label. The pictures are links to those of the dataset, not copies. Other column groups are left out, because
    they belong to the old labels.

    Args:
        dataset: built from demo databases.
        truth: the file ``truth.parquet`` of these databases.
        out: a new folder.

    Raises:
        NotADatasetError: `dataset` is no finished dataset.
        DataError: the folder is not empty, the truth cannot be read, or it lacks a row of the dataset, as all that name frames of videos.
    """
    if out.exists() and any(out.iterdir()):
        raise DataError(f"'{out}' is not empty; name a new folder")
    folder = open_dataset(dataset)
    if folder.videos is not None:
        raise DataError(
            f"'{folder.path}': rows name frames of videos, and the truth knows picture files alone; build the demo without `frames: video`"
        )
    known, layout = _read_truth(truth), _layout_of_truth(folder.manifest.layout)
    manifest = folder.manifest.model_copy(
        update={
            "layout": layout,
            "groups": {},
            "shards": {},
            "provenance": {LABELS: {"revealed_from": folder.fingerprint}},
        }
    )
    with written_folder(out) as partial:
        for split in folder.splits:
            rows = _revealed(folder, split, known)
            manifest.shards[split] = {name: folder.manifest.shards[split][name] for name in (*layout.pictures, PEOPLE)}
            manifest.groups[split] = {name: folder.manifest.groups[split][name] for name in layout.pictures}
            for group in layout.groups:
                hashes = manifest.shards[split][group] = [_write(partial / split / group, rows, layout, group, split)]
                manifest.groups[split][group] = combined_hash(hashes, seed=group)
            for group in layout.pictures:
                shutil.copytree(folder.group_folder(split, group), partial / split / group, copy_function=link_file)
        shutil.copytree(folder.path / ORIGINS, partial / ORIGINS, copy_function=link_file)
        folder.failures().write_parquet(partial / FAILURES)
        labels = labels_fingerprint(manifest)
        manifest.fingerprints = manifest.fingerprints.model_copy(update={"labels": labels})
        write_manifest(partial, manifest)
    return open_dataset(out)


def _layout_of_truth(layout: Layout) -> Layout:
    """The layout of the same rows with labels for everything that is drawn."""
    known = {"action_units": tuple(sorted(DEMO_ACTION_UNITS)), "intensities": (), "side": (COMPOUND,), "declared": ()}
    return layout.model_copy(update=known)


def _write(folder: Path, rows: pl.DataFrame, layout: Layout, group: str, split: str) -> str:
    """The fingerprint of a column group, which is written as one shard."""
    stored, described = layout.stored(rows, group), layout.features(group)
    fingerprint = content_hash(stored)
    write_shard(folder / shard_name(0, 1), stored, described, LABELS_PER_BATCH)
    seal_group(folder, [shard_name(0, 1)], described, combined_hash([fingerprint], seed=group), split)
    return fingerprint


def _read_truth(path: Path) -> pl.DataFrame:
    try:
        truth = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"'{path}' is no truth of a demo world ({error}); `affect-data demo` writes it") from error
    lacking = [name for name in (*KEYS, "shown", "compound", "valence", "arousal") if name not in truth.columns]
    if lacking:
        raise DataError(
            f"'{path}' lacks the column(s) {', '.join(lacking)}; `affect-data demo` of this version writes them"
        )
    return truth


def _revealed(folder: DatasetFolder, split: str, truth: pl.DataFrame) -> pl.DataFrame:
    """The rows of a split with the truth as their labels, and with their origin."""
    labels = folder.labels(split)
    origin = folder.stored_labels(split, ["track"]).column("origin").to_numpy()
    paths = folder.load(split, [IMAGES]).data.column("image")
    keys = labels.select("database", "face").with_columns(
        pl.Series("path", pa.chunked_array([chunk.field("path") for chunk in paths.chunks]).to_pylist()),
        pl.col("face").cast(pl.Int64),
    )
    keys = keys.with_columns(image=pl.col("path").str.replace(r"^[^/]*/", ""))
    found = keys.join(
        truth.with_columns(pl.col("face").cast(pl.Int64)), on=list(KEYS), how="left", maintain_order="left"
    )
    unknown = found.filter(pl.col("shown").is_null())
    if len(unknown) > UNKNOWN_SHARE * len(found):
        first = unknown.row(0, named=True)
        raise DataError(
            f"the truth lacks {len(unknown):,} of {len(found):,} rows of split '{split}', first {first['path']} face {first['face']}; "
            "name the truth.parquet of the very databases that the dataset was built from"
        )
    known = [
        pl.Series(name, values, dtype=labels.schema[name])
        for name, values in _truth_columns(found, len(labels)).items()
    ]
    return labels.with_columns(*known, pl.Series("origin", origin))


def _truth_columns(found: pl.DataFrame, rows: int) -> dict[str, np.ndarray]:
    drawn = found["shown"].is_not_null().to_numpy()
    au = np.full((rows, len(ACTION_UNITS)), -1, dtype=np.int8)
    for number in DEMO_ACTION_UNITS:
        au[:, ACTION_UNIT_SLOTS[number]] = found[f"au_{number}"].fill_null(-1).to_numpy()
    compound = np.array([_code(COMPOUND_EXPRESSIONS, name) for name in found["compound"].to_list()], dtype=np.int64)
    return {
        "au": au,
        "au_mask": au >= 0,
        "au_intensity": np.full(au.shape, np.nan, dtype=np.float32),
        "au_intensity_mask": np.zeros(au.shape, dtype=np.bool_),
        "expression": np.array([_code(EXPRESSIONS, name) for name in found["shown"].to_list()], dtype=np.int64),
        "expression_mask": drawn,
        "expression_votes": np.full((rows, len(EXPRESSIONS)), np.nan, dtype=np.float32),
        "compound_expression": compound,
        "compound_expression_mask": compound >= 0,
        "valence": found["valence"].fill_null(np.nan).to_numpy().astype(np.float32),
        "arousal": found["arousal"].fill_null(np.nan).to_numpy().astype(np.float32),
        "va_mask": drawn,
    }


def _code(names: Sequence[str], name: str | None) -> int:
    return names.index(name) if name else -1
