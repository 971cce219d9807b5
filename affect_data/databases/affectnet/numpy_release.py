"""The annotation files of AffectNet's numpy release: one tiny array for each label of each image."""

import re
from collections import defaultdict
from functools import lru_cache
from typing import Final

import polars as pl

from affect_data.bounds import ARRAY_BYTES, BoundError, parse_array
from affect_data.databases.root import FIX_FILE, DatabaseRoot

LABELS: Final = {"exp": "expression", "val": "valence", "aro": "arousal", "lnd": "landmarks"}
ANNOTATION_NAME: Final = re.compile(r"^(\d+)_(exp|val|aro|lnd)\.npy$")


def numpy_annotations(root: DatabaseRoot, folder: str) -> pl.DataFrame:
    """A row for each annotation file of a set: image, label, source_file, source_line, text.

    Rows are in the order of the images' numbers. `text` is the content of the array; it is null for landmarks, and for files that cannot be read
    (a defect). A face is dropped if the recipe excludes one of its files.

    Args:
        root: of the database.
        folder: the set, for example ``train_set``.
    """
    suffixes, others = _annotated(root, f"{folder}/annotations")
    pictures = {name.rpartition(".")[0]: name for name in sorted(root.entries(f"{folder}/images"), reverse=True)}
    root.note(f"{folder}: annotations of {len(suffixes):,} images; {len(pictures):,} images")
    if others:
        root.note(f"{folder}/annotations: {len(others):,} file(s) not read, among them {others[0]}")
    for place, names, expected in (
        ("annotations", suffixes, "<id>_exp.npy, <id>_val.npy, <id>_aro.npy"),
        ("images", pictures, "<id>.jpg"),
    ):
        if not names:
            root.defect(f"{folder}/{place}", 0, "no such file", expected, f"unpack the {place} there")
    places = [
        (
            f"{folder}/images/{pictures.get(number, number + '.jpg')}",
            LABELS[suffix],
            f"{folder}/annotations/{number}_{suffix}.npy",
            1,
        )
        for number in sorted(suffixes, key=int)
        for suffix in LABELS
        if suffix in suffixes[number]
    ]
    schema = {"image": pl.String, "label": pl.String, "source_file": pl.String, "source_line": pl.Int32}
    files = pl.DataFrame(places, schema=schema, orient="row")
    kept = root.drop_excluded(files)
    if len(kept) < len(files):
        kept = kept.join(files.join(kept, on="source_file", how="anti"), on="image", how="anti", maintain_order="left")
    texts = [
        _text(root, path) if label != LABELS["lnd"] else None
        for path, label in kept.select("source_file", "label").iter_rows()
    ]
    return kept.with_columns(text=pl.Series(texts, dtype=pl.String))


def _annotated(root: DatabaseRoot, folder: str) -> tuple[dict[str, set[str]], list[str]]:
    """The suffixes of the annotation files of each number, and the names of other files."""
    suffixes: defaultdict[str, set[str]] = defaultdict(set)
    others = []
    for name in sorted(root.entries(folder)):
        if fits := ANNOTATION_NAME.match(name):
            suffixes[fits[1]].add(fits[2])
        elif not name.startswith("."):
            others.append(name)
    return dict(suffixes), others


def _text(root: DatabaseRoot, path: str) -> str | None:
    """The only value of an array file as text; None, and a defect, if the file holds anything else."""
    try:
        return _only_value(root.read_bytes(path, ARRAY_BYTES))
    except BoundError as error:
        root.defect(path, 1, error.found, error.expected, error.remedy)
        return None
    except ValueError as error:
        root.defect(path, 1, str(error), "an array of one value", FIX_FILE)
        return None


@lru_cache(maxsize=1 << 16)
def _only_value(data: bytes) -> str:
    """The value of an array file as text. It is cached, because there are three files for each image but few distinct values.

    Raises:
        BoundError: the header promises too much.
        ValueError: the bytes are no array file, hold Python objects, or do not hold exactly one value.
    """
    values = parse_array(data, "the array")
    if values.size != 1:
        raise ValueError(f"an array of shape {values.shape}")
    value = values.item()
    return value.decode("ascii", errors="replace") if isinstance(value, bytes) else str(value)
