"""Writes datasets as affectkit 0.1.0 did, in format 1."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
from datasets import DatasetInfo

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.schema import IMAGES, LABEL_COLUMNS, LABELS, features

FINGERPRINT = "0123456789abcdef"
"""Of all labels and pictures together, as format 1 had one."""


def as_format_1(dataset: DatasetFolder, path: Path, made_for: str = FINGERPRINT) -> Path:
    """The same dataset as affectkit 0.1.0 wrote it: the columns of the schema as they are, one fingerprint, one for labels and pictures."""
    names, databases = [column.name for column in LABEL_COLUMNS], dataset.manifest.databases
    described = features(LABELS, databases)
    groups: dict[str, dict[str, str]] = {}
    for split in dataset.splits:
        fingerprint = f"{split:*<16}" + "0" * 48
        groups[split] = {LABELS: fingerprint, IMAGES: fingerprint}
        shutil.copytree(dataset.path / split / IMAGES, path / split / IMAGES)
        seal(path / split / IMAGES, fingerprint, split)
        start = 0
        for file in sorted((dataset.path / split / IMAGES).glob("*.arrow")):
            rows = pa.ipc.open_stream(pa.memory_map(str(file))).read_all().num_rows
            stored = dataset.stored_labels(split).slice(start, rows)
            table = dataset.view.table(stored, names).cast(described.arrow_schema)
            start += rows
            target = path / split / LABELS / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_stream(sink, described.arrow_schema) as writer:
                writer.write_table(table, max_chunksize=1000)
        DatasetInfo(features=described).write_to_directory(str(path / split / LABELS))
        seal(path / split / LABELS, fingerprint, split)
    provenance = {}
    for group in ("soft.teacher", "balance.even"):
        for split in dataset.splits if group.startswith("soft") else ("train",):
            shutil.copytree(dataset.path / split / IMAGES, path / split / group)
            groups[split][group] = f"{group:*<64}"
            seal(path / split / group, groups[split][group], split)
    provenance["soft.teacher"] = {
        "name": "teacher",
        "teacher_id": "run",
        "teacher_revision": "1",
        "dataset_fingerprint": made_for,
        "view": "as it is",
        "action_units": [1],
    }
    provenance["balance.even"] = {"dataset_fingerprint": made_for}
    manifest = {
        "format": "affectkit-dataset",
        "format_version": 1,
        "schema_version": 1,
        "fingerprint": FINGERPRINT,
        "databases": databases,
        "rows": dataset.manifest.rows,
        "groups": groups,
        "provenance": provenance,
    }
    (path / "dataset.json").write_text(json.dumps(manifest))
    (path / "dataset.lock.json").write_text(json.dumps({"fingerprint": FINGERPRINT, "databases": {}, "build_key": "k"}))
    shutil.copy(dataset.path / "failures.parquet", path)
    return path


def seal(folder: Path, fingerprint: str, split: str) -> None:
    files = [{"filename": file.name} for file in sorted(folder.glob("*.arrow"))]
    state = {"_data_files": files, "_fingerprint": fingerprint[:16], "_format_columns": None, "_format_kwargs": {}}
    state |= {"_format_type": None, "_output_all_columns": False, "_split": split}
    (folder / "state.json").write_text(json.dumps(state))
