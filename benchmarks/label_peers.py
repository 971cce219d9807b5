"""How one reads the labels of three databases without affectkit: with polars, with pandas, and with loops over lines.

Each variant lists the folders of pictures, drops what has no picture or no label, writes the table, and returns it with `COLUMNS`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd
import polars as pl
from official_sizes import DISFA_UNITS, HEADERS, LIST_HEADER, TASK_FOLDERS, TASKS, UNITS

AU: Final = [f"au{unit}" for unit in sorted({*UNITS, *DISFA_UNITS})]
INTENSITIES: Final = [f"au_intensity_{unit}" for unit in DISFA_UNITS]
COLUMNS: Final = ["image", "expression", "valence", "arousal", *AU, *INTENSITIES]
SCHEMA: Final = {
    "image": pl.String,
    "expression": pl.String,
    "valence": pl.Float32,
    "arousal": pl.Float32,
    **dict.fromkeys((*AU, *INTENSITIES), pl.Int8),
}
AFFWILD2_CLASSES: Final = [name.lower() for name in HEADERS["expression"].split(",")]
AFFWILD2_NAMES: Final = dict(
    zip(range(8), ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other"), strict=True)
)
AFFECTNET_NAMES: Final = dict(
    zip(range(8), ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"), strict=True)
)
FIELDS: Final = {
    "va": ["valence", "arousal"],
    "expression": ["expression"],
    "au": [f"au{unit}" for unit in UNITS],
}
NEEDED: Final = ["subDirectory_filePath", "expression", "valence", "arousal"]
CROPS, FACES, FRAMES = "cropped_aligned", "Manually_Annotated/Manually_Annotated_Images", "Images"


def track_files(root: Path, task: str) -> list[Path]:
    """The files of one task of Aff-Wild2."""
    return sorted((root / "Third ABAW Annotations" / TASK_FOLDERS[task]).glob("*/*.txt"))


def listed(root: Path, folder: str) -> Iterator[tuple[str, list[str]]]:
    """The names in each folder of a folder."""
    for name in sorted(os.listdir(root / folder)):  # noqa: PTH208 - the quickest way
        yield name, os.listdir(root / folder / name)  # noqa: PTH208


# ---------------------------------------------------------------- polars


def with_polars(folder: Path, written: Path) -> pl.DataFrame:
    """With polars: many files in one scan, joins by track and frame."""
    parts = [
        _polars_affectnet(folder / "affectnet"),
        _polars_affwild2(folder / "affwild2"),
        _polars_disfa(folder / "disfa"),
    ]
    table = pl.concat(parts, how="diagonal_relaxed").select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    table.write_ipc(written / "labels.arrow")
    return table


def _polars_pictures(root: Path, folder: str) -> pl.DataFrame:
    found = [(name, names) for name, names in listed(root, folder)]
    pictures = pl.DataFrame(found, {"track": pl.String, "name": pl.List(pl.String)}, orient="row").explode("name")
    return pictures.with_columns(frame=pl.col("name").str.head(5).cast(pl.Int64))


def _polars_affwild2(root: Path) -> pl.DataFrame:
    tables = []
    for task in TASKS:
        lines = pl.scan_csv(
            track_files(root, task), skip_rows=1, has_header=False, new_columns=FIELDS[task], include_file_paths="file"
        ).collect()
        track = pl.col("file").str.extract(r"([^/]+)\.txt$")
        lines = lines.with_columns(frame=pl.int_range(pl.len()).over("file") + 1, track=track).drop("file")
        missing = -5 if task == "va" else -1
        lines = lines.with_columns(
            pl.when(pl.col(name) != missing).then(pl.col(name)).alias(name) for name in FIELDS[task]
        )
        if task == "expression":
            lines = lines.with_columns(pl.col("expression").replace_strict(AFFWILD2_NAMES, default=None))
        tables.append(lines)
    rows = tables[0]
    for table in tables[1:]:
        rows = rows.join(table, on=["track", "frame"], how="full", coalesce=True)
    rows = rows.filter(pl.any_horizontal(pl.exclude("track", "frame").is_not_null()))
    rows = rows.join(_polars_pictures(root, CROPS), on=["track", "frame"])
    return rows.with_columns(image=pl.format(f"affwild2/{CROPS}/{{}}/{{}}", "track", "name"))


def _polars_affectnet(root: Path) -> pl.DataFrame:
    lists = root / "Manually_Annotated_file_lists"
    parts = [
        pl.scan_csv(lists / name, has_header=has_header, new_columns=LIST_HEADER.split(",")).select(NEEDED).collect()
        for name, has_header in (("training.csv", True), ("validation.csv", False))
    ]
    faces = pl.concat(parts)
    pictures = pl.DataFrame(
        {"subDirectory_filePath": [f"{number}/{name}" for number, names in listed(root, FACES) for name in names]}
    )
    has_va = pl.col("valence") != -2
    faces = faces.filter((pl.col("expression") < 9) | ((pl.col("expression") == 9) & has_va)).join(
        pictures, on="subDirectory_filePath", how="semi"
    )
    return faces.select(
        pl.format(f"affectnet/{FACES}/{{}}", "subDirectory_filePath").alias("image"),
        pl.col("expression").replace_strict(AFFECTNET_NAMES, default=None),
        pl.when(has_va).then(pl.col("valence", "arousal")),
    )


def _polars_disfa(root: Path) -> pl.DataFrame:
    rows = None
    for unit in DISFA_UNITS:
        files = sorted(root.glob(f"ActionUnit_Labels/*/*_au{unit}.txt"))
        lines = pl.scan_csv(
            files, has_header=False, new_columns=["frame", f"au_intensity_{unit}"], include_file_paths="file"
        ).collect()
        lines = lines.with_columns(track=pl.col("file").str.extract(r"(SN\d+)_au")).drop("file")
        rows = lines if rows is None else rows.join(lines, on=["track", "frame"], how="full", coalesce=True)
    assert rows is not None
    rows = rows.join(_polars_pictures(root, FRAMES), on=["track", "frame"])
    present = [(pl.col(f"au_intensity_{unit}") >= 2).cast(pl.Int8).alias(f"au{unit}") for unit in DISFA_UNITS]
    return rows.with_columns(*present, image=pl.format(f"disfa/{FRAMES}/{{}}/{{}}", "track", "name"))


# ---------------------------------------------------------------- pandas


def with_pandas(folder: Path, written: Path) -> pl.DataFrame:
    """With pandas: one frame a file, merges by track and frame."""
    parts = [
        _pandas_affectnet(folder / "affectnet"),
        _pandas_affwild2(folder / "affwild2"),
        _pandas_disfa(folder / "disfa"),
    ]
    table = pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS)
    found = pl.from_pandas(table, nan_to_null=True).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    found.write_ipc(written / "labels.arrow")
    return found


def _pandas_pictures(root: Path, folder: str) -> pd.DataFrame:
    parts = [pd.DataFrame({"track": track, "name": names}) for track, names in listed(root, folder)]
    pictures = pd.concat(parts, ignore_index=True)
    return pictures.assign(frame=pictures["name"].str[:5].astype(int))


def _pandas_affwild2(root: Path) -> pd.DataFrame:
    rows = None
    for task in TASKS:
        parts = []
        for path in track_files(root, task):
            lines = pd.read_csv(path, skiprows=1, header=None, names=FIELDS[task])
            parts.append(lines.assign(track=path.stem, frame=range(1, len(lines) + 1)))
        lines = pd.concat(parts, ignore_index=True)
        lines[FIELDS[task]] = lines[FIELDS[task]].mask(lines[FIELDS[task]] == (-5 if task == "va" else -1))
        rows = lines if rows is None else rows.merge(lines, on=["track", "frame"], how="outer")
    assert rows is not None
    rows = rows.dropna(how="all", subset=[name for fields in FIELDS.values() for name in fields])
    rows = rows.merge(_pandas_pictures(root, CROPS), on=["track", "frame"])
    rows["expression"] = rows["expression"].map(AFFWILD2_NAMES)
    return rows.assign(image=f"affwild2/{CROPS}/" + rows["track"] + "/" + rows["name"])


def _pandas_affectnet(root: Path) -> pd.DataFrame:
    lists = root / "Manually_Annotated_file_lists"
    parts = [
        pd.read_csv(lists / name, header=header, names=LIST_HEADER.split(","), usecols=NEEDED)
        for name, header in (("training.csv", 0), ("validation.csv", None))
    ]
    faces = pd.concat(parts, ignore_index=True)
    pictures = [f"{number}/{name}" for number, names in listed(root, FACES) for name in names]
    faces = faces[faces["subDirectory_filePath"].isin(pictures)]
    faces = faces[(faces["expression"] < 9) | ((faces["expression"] == 9) & (faces["valence"] != -2))].copy()
    faces.loc[faces["valence"] == -2, ["valence", "arousal"]] = float("nan")
    faces["expression"] = faces["expression"].map(AFFECTNET_NAMES)
    return faces.assign(image=f"affectnet/{FACES}/" + faces["subDirectory_filePath"])


def _pandas_disfa(root: Path) -> pd.DataFrame:
    rows = None
    for unit in DISFA_UNITS:
        parts = [
            pd.read_csv(path, header=None, names=["frame", f"au_intensity_{unit}"]).assign(track=path.parent.name)
            for path in sorted(root.glob(f"ActionUnit_Labels/*/*_au{unit}.txt"))
        ]
        lines = pd.concat(parts, ignore_index=True)
        rows = lines if rows is None else rows.merge(lines, on=["track", "frame"], how="outer")
    assert rows is not None
    rows = rows.merge(_pandas_pictures(root, FRAMES), on=["track", "frame"])
    present = {f"au{unit}": (rows[f"au_intensity_{unit}"] >= 2).astype("int8") for unit in DISFA_UNITS}
    return rows.assign(**present, image=f"disfa/{FRAMES}/" + rows["track"] + "/" + rows["name"])


# ---------------------------------------------------------------- loops


def with_loops(folder: Path, written: Path) -> pl.DataFrame:
    """As published scripts read them, line by line, but with sets and dictionaries where those have lists."""
    rows = [
        *_looped_affectnet(folder / "affectnet"),
        *_looped_affwild2(folder / "affwild2"),
        *_looped_disfa(folder / "disfa"),
    ]
    table = pl.DataFrame(
        {name: pl.Series([row.get(name) for row in rows], dtype=kind) for name, kind in SCHEMA.items()}
    )
    table.write_ipc(written / "labels.arrow")
    return table


def _looped_affwild2(root: Path) -> Iterator[dict[str, Any]]:
    pictures = {track: set(names) for track, names in listed(root, CROPS)}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for task in TASKS:
        for path in track_files(root, task):
            for frame, line in enumerate(path.read_text().splitlines()[1:], start=1):
                name = f"{frame:05d}.jpg"
                if name not in pictures[path.stem]:
                    continue
                values = line.split(",")
                if task == "va":
                    known = {
                        key: float(value) for key, value in zip(FIELDS[task], values, strict=True) if value != "-5"
                    }
                elif task == "expression":
                    known = {"expression": AFFWILD2_NAMES[int(line)]} if line != "-1" else {}
                else:
                    known = {key: int(value) for key, value in zip(FIELDS[task], values, strict=True) if value != "-1"}
                if known:
                    rows.setdefault((path.stem, name), {"image": f"affwild2/{CROPS}/{path.stem}/{name}"}).update(known)
    yield from rows.values()


def _looped_affectnet(root: Path) -> Iterator[dict[str, Any]]:
    pictures = {f"{number}/{name}" for number, names in listed(root, FACES) for name in names}
    for name in ("training.csv", "validation.csv"):
        for line in (root / "Manually_Annotated_file_lists" / name).read_text().splitlines():
            path, _, _, _, _, _, code, valence, arousal = line.split(",")
            if path not in pictures or code == "10" or (code == "9" and valence == "-2"):
                continue
            row: dict[str, Any] = {"image": f"affectnet/{FACES}/{path}", "expression": AFFECTNET_NAMES.get(int(code))}
            if valence != "-2":
                row |= {"valence": float(valence), "arousal": float(arousal)}
            yield row


def _looped_disfa(root: Path) -> Iterator[dict[str, Any]]:
    pictures = {track: set(names) for track, names in listed(root, FRAMES)}
    for subject, names in pictures.items():
        rows: dict[str, dict[str, Any]] = {}
        for unit in DISFA_UNITS:
            for line in (root / "ActionUnit_Labels" / subject / f"{subject}_au{unit}.txt").read_text().splitlines():
                frame, level = map(int, line.split(","))
                name = f"{frame:05d}.jpg"
                if name in names:
                    row = rows.setdefault(name, {"image": f"disfa/{FRAMES}/{subject}/{name}"})
                    row[f"au_intensity_{unit}"], row[f"au{unit}"] = level, int(level >= 2)
        yield from rows.values()
