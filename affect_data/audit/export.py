"""Findings in the formats of other tools, which need not be installed: FiftyOne's samples and cleanlab's Datalab."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from affect_data.audit.base import AuditedDataset
from affect_data.audit.registry import AUDITS
from affect_data.audit.run import read_audit
from affect_data.bounds import read_json
from affect_data.databases.base import Tier
from affect_data.dataset.folder import LABEL_NAMES, LOCK, DatasetFolder, open_dataset
from affect_data.dataset.merged import databases_of
from affect_data.dataset.pictures import SplitPictures
from affect_data.errors import UnknownNameError, UsageError
from affect_data.files import write_text
from affect_data.pictures import as_png, is_reference, open_picture

SAMPLES: Final = "samples.json"
SUFFIXES: Final = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"BM": ".bmp", b"GI": ".gif"}


def datalab_issues(path: Path | str, split: str) -> pl.DataFrame:
    """The findings of a split as Datalab's issues: a row for each face, in the row order of the split.

    Each check that has findings in the dataset gives ``is_<check>_issue`` (bool) and ``<check>_score``. Datalab's scores mean quality, from 0 (worst)
    to 1 (fine): they are 1 minus the highest score of the row's findings. The table has no picture and no label.

    Raises:
        NotAuditedError: the dataset was not audited, or has changed since.
        UnknownNameError: the dataset has no such split.
    """
    folder = open_dataset(path)
    rows = folder.labels(split).select("uid")
    found = read_audit(path)
    worst = found.filter(pl.col("split") == split).group_by("uid", "check").agg(pl.col("score").max())
    issues = rows
    for check in (name for name in AUDITS if name in set(found["check"])):
        own = worst.filter(pl.col("check") == check).select("uid", pl.col("score").alias("worst"))
        issues = issues.join(own, on="uid", how="left", maintain_order="left").with_columns(
            pl.col("worst").is_not_null().alias(f"is_{check}_issue"),
            (1 - pl.col("worst")).fill_null(1.0).cast(pl.Float64).alias(f"{check}_score"),
        )
        issues = issues.drop("worst")
    return issues


class FacesKeptInError(UsageError):
    """An export of pictures that their licence forbids to pass on, without an acknowledgement."""

    def __init__(self, terms: Mapping[str, str]) -> None:
        self.databases = tuple(terms)
        listed = "".join(f"\n  {name}: {essence}" for name, essence in terms.items())
        named = " ".join(f"--acknowledge {name}" for name in terms)
        super().__init__(
            f"the licence of {len(terms)} database(s) keeps faces and labels in, and this export copies both out:{listed}\n"
            f"Where the copy stays with people whom your agreement covers, acknowledge each by name: `{named}`."
        )


def kept_in(folder: DatasetFolder) -> dict[str, str]:
    """The licence terms of the databases whose pictures may not be passed on, by name; drawn faces belong to nobody."""
    lock = folder.path / LOCK
    built_from = read_json(lock).get("databases", {}) if lock.is_file() else {}
    terms, known = {}, databases_of(folder)
    for name in folder.manifest.databases:
        licence = known[name].licence if name in known else None
        if built_from.get(name, {}).get("drawn") or (licence is not None and licence.publishes == Tier.FULL):
            continue
        terms[name] = licence.terms if licence is not None else "unknown to this version of affectkit"
    return terms


def check_acknowledged(folder: DatasetFolder, acknowledged: Collection[str]) -> None:
    """Refuses to copy pictures out unless every database whose licence forbids it is acknowledged.

    Raises:
        UnknownNameError: the dataset has no database of an acknowledged name.
        FacesKeptInError: a database whose licence forbids it was not acknowledged.
    """
    for name in acknowledged:
        if name not in folder.manifest.databases:
            raise UnknownNameError(f"database of '{folder.path}'", name, folder.manifest.databases)
    silent = {name: terms for name, terms in kept_in(folder).items() if name not in acknowledged}
    if silent:
        raise FacesKeptInError(silent)


def write_fiftyone(path: Path | str, out: Path, acknowledged: Collection[str] = ()) -> int:
    """Writes faces with labels and findings into a folder that FiftyOne imports as ``fiftyone.types.FiftyOneDataset``.

    Pictures are copied as they are, frames of videos as PNG, and stay under the licence of their databases.

    Args:
        path: dataset folder, audited.
        out: new or empty folder, for ``metadata.json``, `SAMPLES` and ``data/``.
        acknowledged: databases whose pictures are copied to `out` although their licence forbids to pass them on.

    Returns:
        The number of samples.

    Raises:
        FacesKeptInError: a licence forbids it and was not acknowledged; nothing is written.
        NotAuditedError: the dataset was not audited, or has changed since.
        UsageError: `out` is not empty.
    """
    folder = open_dataset(path)
    check_acknowledged(folder, acknowledged)
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"'{out}' is not empty; name a new folder for the FiftyOne samples")
    found = {
        key: rows.select("check", "severity", "score", "evidence").to_dicts()
        for key, rows in read_audit(path).partition_by("split", "uid", as_dict=True).items()
    }
    (out / "data").mkdir(parents=True, exist_ok=True)
    samples = []
    for split in folder.splits:
        blocks = AuditedDataset(folder).blocks(*LABEL_NAMES)
        labels = pl.concat(block for block in blocks if block["split"][0] == split)
        pictures = _pictures(folder, split, labels["image_digest"].to_list(), out / "data")
        for row, (name, size) in zip(labels.iter_rows(named=True), pictures, strict=True):
            samples.append(_sample(row, f"data/{name}", size, found.get((split, row["uid"]), [])))
    write_text(out / SAMPLES, json.dumps({"samples": samples}, separators=(",", ":")) + "\n")
    write_text(out / "metadata.json", json.dumps(_metadata(folder), indent=1) + "\n")
    return len(samples)


def _pictures(folder: DatasetFolder, split: str, digests: list[str], data: Path) -> list[tuple[str, tuple[int, int]]]:
    pictures = SplitPictures(folder, split)
    written: dict[str, tuple[str, tuple[int, int]]] = {}
    for row, digest in enumerate(digests):
        if digest in written:
            continue
        content = bytes(pictures[row])
        if is_reference(pictures.stored(row)):
            content = as_png(content)
        name = digest + SUFFIXES.get(content[:2], ".img")
        (data / name).write_bytes(content)
        written[digest] = (name, open_picture(content).size)
    return [written[digest] for digest in digests]


def _sample(row: dict[str, Any], path: str, size: tuple[int, int], found: list[dict[str, Any]]) -> dict[str, Any]:
    sample: dict[str, Any] = {
        "filepath": path,
        "tags": [row["split"], *sorted({finding["check"] for finding in found})],
        "uid": row["uid"],
        "database": row["database"],
        "subject": row["subject"],
        "track": row["track"],
        "worst_finding": max((finding["score"] for finding in found), default=0.0),
        "findings": json.dumps([{**f, "evidence": json.loads(f["evidence"])} for f in found]),
    }
    if row["expression_mask"]:
        sample["expression"] = {"_cls": "Classification", "label": row["expression_name"]}
    if row["va_mask"]:
        sample["valence"], sample["arousal"] = row["valence"], row["arousal"]
    x0, y0, x1, y1 = row["face_box"]
    if x0 == x0:
        width, height = size
        box = [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]
        sample["face"] = {
            "_cls": "Detections",
            "detections": [{"_cls": "Detection", "label": "face", "bounding_box": box}],
        }
    return sample


def _metadata(folder: DatasetFolder) -> dict[str, Any]:
    def primitive(name: str, kind: str) -> dict[str, Any]:
        return {"name": name, "ftype": f"fiftyone.core.fields.{kind}", "embedded_doc_type": None, "subfield": None}

    def document(name: str, kind: str) -> dict[str, Any]:
        return {
            "name": name,
            "ftype": "fiftyone.core.fields.EmbeddedDocumentField",
            "embedded_doc_type": f"fiftyone.core.labels.{kind}",
            "subfield": None,
        }

    texts = ("uid", "database", "subject", "track", "findings")
    numbers = ("worst_finding", "valence", "arousal")
    return {
        "name": folder.path.name,
        "media_type": "image",
        "sample_fields": [
            *(primitive(name, "StringField") for name in texts),
            *(primitive(name, "FloatField") for name in numbers),
            document("expression", "Classification"),
            document("face", "Detections"),
        ],
        "info": {"dataset_fingerprint": folder.fingerprint},
    }
