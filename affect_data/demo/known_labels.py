"""A dataset of drawn faces with every label that the demo world knows, where its databases said little: what models are judged by."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from affect_data.dataset.folder import FAILURES, DatasetFolder, Manifest, open_dataset
from affect_data.dataset.hashing import content_hash, dataset_fingerprint
from affect_data.dataset.schema import IMAGES, LABELS, features
from affect_data.dataset.writing import seal_group, shard_name, write_manifest, write_shard
from affect_data.demo.sampler import DEMO_ACTION_UNITS
from affect_data.errors import DataError
from affect_data.files import link_file, written_folder
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS

KEYS: Final = ("database", "image", "face")

UNKNOWN_SHARE: Final = 0.05
"""Share of the rows that may show something else than a drawn face, such as the pictures that FER+ calls no face."""


def reveal(dataset: Path, truth: Path, out: Path) -> DatasetFolder:
    """Writes the same rows and pictures with the truth as their labels: all drawn action units, what the face shows, valence and arousal.

    A picture that shows no face has no label. The pictures are links to those of the dataset, not copies. Other column groups are left out:
    they belong to the other labels.

    Args:
        dataset: built from demo databases.
        truth: the file ``truth.parquet`` of these databases.
        out: a new folder.

    Raises:
        NotADatasetError: `dataset` is no finished dataset.
        DataError: the folder is not empty, the truth cannot be read, or it lacks a row of the dataset.
    """
    if out.exists() and any(out.iterdir()):
        raise DataError(f"'{out}' is not empty; name a new folder")
    folder = open_dataset(dataset)
    known = _read_truth(truth)
    groups: dict[str, dict[str, str]] = {}
    with written_folder(out) as partial:
        for split in folder.splits:
            table = _revealed(folder, split, known)
            fingerprint = content_hash(table, seed=",".join(sorted(folder.manifest.databases)))
            described = features(LABELS, folder.manifest.databases)
            write_shard(partial / split / LABELS / shard_name(0, 1), table, described)
            seal_group(partial / split / LABELS, [shard_name(0, 1)], described, fingerprint, split)
            shutil.copytree(folder.group_folder(split, IMAGES), partial / split / IMAGES, copy_function=link_file)
            groups[split] = {LABELS: fingerprint, IMAGES: folder.manifest.groups[split][IMAGES]}
        folder.failures().write_parquet(partial / FAILURES)
        manifest = Manifest(
            fingerprint=dataset_fingerprint(groups),
            databases=folder.manifest.databases,
            rows=folder.manifest.rows,
            groups=groups,
            provenance={LABELS: {"revealed_from": folder.fingerprint}},
        )
        write_manifest(partial, manifest)
    return open_dataset(out)


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


def _revealed(folder: DatasetFolder, split: str, truth: pl.DataFrame) -> pa.Table:
    labels = folder.load(split, [LABELS])
    names = labels.features["database"].names
    paths = folder.load(split, [IMAGES]).data.column("image")
    table: pa.Table = labels.data.table.combine_chunks()
    keys = pl.DataFrame(
        {
            "database": [names[code] for code in table["database"].to_pylist()],
            "path": pa.chunked_array([chunk.field("path") for chunk in paths.chunks]).to_pylist(),
            "face": table["face"].to_pylist(),
        }
    ).with_columns(image=pl.col("path").str.replace(r"^[^/]*/", ""))
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
    return _with_columns(table, _truth_columns(found, len(table)))


def _truth_columns(found: pl.DataFrame, rows: int) -> dict[str, np.ndarray]:
    drawn = found["shown"].is_not_null().to_numpy()
    au = np.full((rows, len(ACTION_UNITS)), -1, dtype=np.int8)
    for number in DEMO_ACTION_UNITS:
        au[:, ACTION_UNIT_SLOTS[number]] = found[f"au_{number}"].fill_null(-1).to_numpy()
    compound = np.array([_code(COMPOUND_EXPRESSIONS, name) for name in found["compound"].to_list()], dtype=np.int64)
    return {
        "au": au,
        "au_mask": au >= 0,
        "expression": np.array([_code(EXPRESSIONS, name) for name in found["shown"].to_list()], dtype=np.int64),
        "expression_mask": drawn,
        "compound_expression": compound,
        "compound_expression_mask": compound >= 0,
        "valence": found["valence"].fill_null(np.nan).to_numpy().astype(np.float32),
        "arousal": found["arousal"].fill_null(np.nan).to_numpy().astype(np.float32),
        "va_mask": drawn,
    }


def _code(names: Sequence[str], name: str | None) -> int:
    return names.index(name) if name else -1


def _with_columns(table: pa.Table, columns: dict[str, np.ndarray]) -> pa.Table:
    for name, values in columns.items():
        index = table.schema.get_field_index(name)
        field = table.schema.field(index)
        array = pa.array(values.reshape(-1))
        if values.ndim == 2:
            array = pa.FixedSizeListArray.from_arrays(array.cast(field.type.value_type), values.shape[1])
        table = table.set_column(index, field, array.cast(field.type))
    return table
