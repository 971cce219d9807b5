"""What RAF-DB's annotators said of the people: a small file for each photograph, after the landmarks that they set by hand."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.databases.facts import labels_of, numbered
from affect_data.databases.root import FIX_FILE, DatabaseRoot
from affect_data.databases.spelling import plain

LANDMARKS: Final = 5
ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sex": ("male", "female", "unsure"),
        "ethnicity": ("Caucasian", "African-American", "Asian"),
        "age_band": ("0-3", "4-19", "20-39", "40-69", "70+"),
    }
)
"""The lines after the landmarks, in their order, and the words that their numbers stand for, from 0 on."""
ATTRIBUTE_CODES: Final = tuple(row for name, words in ATTRIBUTES.items() for row in numbered(name, words))
FOLDER: Final = "Annotation/manual"
ENDING: Final = "_manu_attri.txt"


def with_attributes(root: DatabaseRoot, faces: pl.DataFrame, folder: str) -> pl.DataFrame:
    """The faces with the words of `ATTRIBUTES`, null for a photograph without such a file.

    Args:
        root: of the database.
        faces: with ``picture``.
        folder: of the part.
    """
    within = root.one_of("Annotation", under=folder) or folder
    place = root.one_of("manual", under=within)
    there = root.entries(place) if place else frozenset()
    files = {picture: f"{picture.removesuffix('.jpg')}{ENDING}" for picture in faces["picture"]}
    found = {picture: f"{place}/{file}" for picture, file in files.items() if file in there}
    if not found:
        root.note(f"no files in {f'{folder}/' if folder else ''}{FOLDER}: nothing is said of people")
        return faces.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in ATTRIBUTES)
    if len(found) < len(faces):
        root.note(f"{len(faces) - len(found):,} photographs without a file in {place}: nothing is said of their people")
    read = _read(root, list(found.values())).select("source_file", *ATTRIBUTES)
    places = pl.DataFrame({"picture": list(found), "source_file": list(found.values())})
    said = places.join(read, on="source_file").drop("source_file")
    return faces.join(said, on="picture", how="left", maintain_order="left")


def _read(root: DatabaseRoot, paths: list[str]) -> pl.DataFrame:
    """The attributes in each file: source_file, source_line and the words; a file of another form is a defect."""
    lines = [root.read_text(path).strip().split("\n") for path in paths]
    frame = pl.DataFrame({"source_file": paths, "lines": lines}).with_columns(
        source_line=pl.lit(1, dtype=pl.Int32), count=pl.col("lines").list.len()
    )
    expected = f"{LANDMARKS} landmarks, then {', '.join(ATTRIBUTES)}, a line each"
    wrong = pl.col("count") != LANDMARKS + len(ATTRIBUTES)
    frame = root.refuse(frame, wrong, "{count} line(s)", expected, FIX_FILE)
    for line, name in enumerate(ATTRIBUTES, start=LANDMARKS):
        frame = frame.with_columns(pl.col("lines").list.get(line).alias(name), source_line=pl.lit(line + 1, pl.Int32))
        codes = labels_of(ATTRIBUTE_CODES, name)
        frame = frame.with_columns(plain(frame[name], codes))
        unknown, expected = ~pl.col(name).is_in(list(codes)), f"one of the codes {', '.join(codes)}"
        frame = root.refuse(frame, unknown, f"{name} = {{{name}!r}}", expected, FIX_FILE)
        frame = frame.with_columns(pl.col(name).replace_strict(codes, return_dtype=pl.String))
    return frame
