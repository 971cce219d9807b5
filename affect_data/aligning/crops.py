"""Cuts the face of every row out of its picture by crop policies, and stores the crops as column groups; range by range, in processes, resumable."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.crops import CROPPED, CROPS, CropProvenance
from affect_data.dataset.kinds.faces import FACES, NAME_OF_FACES, FacesProvenance
from affect_data.dataset.pictures import SplitPictures
from affect_data.dataset.ranges import RangeWriter, RowRange
from affect_data.dataset.writing import ROWS_PER_BATCH
from affect_data.errors import DataError, UsageError
from affect_data.faces.detection import DetectedFace, Pixels
from affect_data.faces.orientation import orientation_of, upright_box, upright_pixels, upright_size
from affect_data.faces.policies import STORED, CropPolicy, NoCropError, policy_named
from affect_data.pictures import PictureError
from affect_data.processes import map_jobs

if TYPE_CHECKING:
    from datasets import Features

Progress = Callable[[str, int, int], None]

FEWEST_ROWS: Final = 1024
"""Rows of a file, at least."""

MOST_FILES: Final = 2048
"""Files of a split, about."""


@dataclass(frozen=True)
class CropCounts:
    """Numbers of rows of a database.

    Attributes:
        rows: all.
        cropped: show the crop of a found face.
        no_face: no face was found; they show their own box or the whole picture.
        refused: a face was found that the policy cannot cut out; likewise.
    """

    rows: int
    cropped: int
    no_face: int
    refused: int


@dataclass(frozen=True)
class CropReport:
    """What was stored by one policy.

    Attributes:
        group: the column group.
        policy: that cut the faces out.
        kept: rows that were there already, from a run that was killed or that was complete.
        databases: counts by database, alphabetical.
    """

    group: str
    policy: CropPolicy
    kept: int
    databases: dict[str, CropCounts]

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON document."""
        counts = {name: asdict(counted) for name, counted in self.databases.items()}
        return {"group": self.group, "policy": self.policy.to_dict(), "kept": self.kept, "databases": counts}


class CropWriter(RangeWriter[CropProvenance]):
    """Writes the crops of one policy range by range, and makes them a column group once all ranges exist."""

    def __init__(self, path: Path, policy: CropPolicy, provenance: CropProvenance, rows_per_range: int) -> None:
        super().__init__(path, CROPS, policy.name, provenance, rows_per_range, ROWS_PER_BATCH)
        self.policy = policy

    def features(self) -> "Features":
        """The crops as pictures, and whether each is the crop of a found face."""
        from datasets import Features, Image, Value

        return Features({self.group: Image(), CROPS.column(self.policy.name, CROPPED): Value("bool")})


@dataclass(frozen=True)
class _Job:
    """A range, and the writers that lack it: a picture is decoded once for all policies."""

    path: Path
    part: RowRange
    writers: tuple[CropWriter, ...]


def stored_policies(names: Sequence[str]) -> list[CropPolicy]:
    """The policies of names whose crops can be stored, each once.

    Raises:
        UnknownNameError: there is no policy of a name.
        UsageError: a policy needs no stored crops.
    """
    found = [policy_named(name) for name in dict.fromkeys(names)]
    for policy in found:
        if not policy.is_stored:
            raise UsageError(
                f"the policy {policy.name} needs no crops: training cuts them out of the pictures (`crop.policy: {policy.name}`, the default). "
                f"Policies whose crops are stored: {', '.join(STORED)}"
            )
    return found


def write_crops(
    path: Path | str, policies: Sequence[str], workers: int = 1, progress: Progress = lambda *_: None
) -> list[CropReport]:
    """Cuts out the face of every row by each policy, and counts what was cut. Pictures and other groups are not touched.

    After a kill, the same call goes on where it stopped. Crops that the dataset has already, from the same pictures, faces and policy, stay.

    Args:
        path: dataset folder, with the column group of faces.
        policies: their names.
        workers: processes that cut.
        progress: is told how many rows are done.

    Raises:
        UnknownNameError: there is no such policy, or the dataset has no faces.
        UsageError: a policy needs no stored crops.
        StaleGroupError: the faces were found in other pictures.
        DataError: the dataset has clips, another process writes the crops, or a video is gone or has changed.
    """
    chosen, folder = stored_policies(policies), open_dataset(path)
    if folder.manifest.layout.clips:
        raise DataError(
            f"'{folder.path}' has clips, of whose frames no crops are stored: a row has one crop. Train on it with `crop.policy: box`, "
            "or build a dataset without the databases that label whole clips"
        )
    faces = FACES.read(folder, NAME_OF_FACES)
    most = max(folder.rows(split) for split in folder.splits)
    writers = [
        CropWriter(folder.path, policy, provenance_of(folder, policy, faces), max(FEWEST_ROWS, -(-most // MOST_FILES)))
        for policy in chosen
    ]
    with ExitStack() as locks:
        for writer in writers:
            locks.enter_context(writer.owned())
        unfinished = [writer for writer in writers if not writer.is_committed()]
        kept = _write_missing(folder, unfinished, workers, progress)
        for writer in unfinished:
            writer.commit()
    return [_report(open_dataset(path), writer, kept) for writer in writers]


def provenance_of(folder: DatasetFolder, policy: CropPolicy, faces: FacesProvenance) -> CropProvenance:
    """Where the crops of a policy come from."""
    return CropProvenance(
        name=policy.name,
        policy=policy.to_dict(),
        policy_digest=policy.digest(),
        faces=faces_digest(faces),
        made_from=CROPS.made_from(folder),
    )


def faces_digest(faces: FacesProvenance) -> str:
    """16 hexadecimal digits that identify what found the faces: detector, version, weights and rule."""
    known = json.dumps(faces.model_dump(exclude={"made_from"}), sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def crops_of_other_faces(folder: DatasetFolder) -> tuple[str, ...]:
    """Names of the policies whose stored crops were not cut by the faces that the dataset has now, alphabetical."""
    if NAME_OF_FACES not in FACES.names(folder):
        return CROPS.names(folder)
    now = faces_digest(FACES.described(folder, NAME_OF_FACES))
    return tuple(name for name in CROPS.names(folder) if CROPS.described(folder, name).faces != now)


def _write_missing(
    folder: DatasetFolder, writers: Sequence[CropWriter], workers: int, progress: Progress
) -> dict[str, int]:
    """Writes the ranges that are missing; returns how many rows were there from a run that was killed, by group."""
    lacking: dict[RowRange, list[CropWriter]] = {}
    for writer in writers:
        for part in writer.missing():
            lacking.setdefault(part, []).append(writer)
    jobs = [_Job(folder.path, part, tuple(own)) for part, own in lacking.items()]
    rows = sum(map(len, lacking))
    done = 0
    for written in map_jobs(_write_range, jobs, workers):
        done += written
        progress("cutting out faces", done, rows)
    whole = sum(map(folder.rows, folder.splits))
    return {
        writer.group: whole - sum(len(part) for part, own in lacking.items() if writer in own) for writer in writers
    }


def _write_range(job: _Job) -> int:
    found: list[list[tuple[bytes, bool]]] = [[] for _ in job.writers]
    paths: list[str] = []
    for row in _rows(open_dataset(job.path), job.part):
        paths.append(row.path)
        for crops, writer in zip(found, job.writers, strict=True):
            crops.append(_crop(row, writer.policy))
    for crops, writer in zip(found, job.writers, strict=True):
        features = writer.features()
        pictures = pa.array(
            [{"bytes": data, "path": path} for (data, _), path in zip(crops, paths, strict=True)],
            features.arrow_schema.field(writer.group).type,
        )
        flags = pa.array([cropped for _, cropped in crops], pa.bool_())
        writer.write_table(job.part, pa.table([pictures, flags], names=list(features)))
    return len(job.part)


@dataclass(frozen=True)
class _Row:
    """A row's picture and face.

    Attributes:
        path: of the picture in its database, as the picture's column has it.
        data: the picture's file.
        pixels: uint8 [height, width, 3], upright; None if the file cannot be decoded.
        face: what was found, in these pixels; None if nothing was.
        box: the row's own box in these pixels; NaN if it has none.
    """

    path: str
    data: bytes
    pixels: Pixels | None
    face: DetectedFace | None
    box: tuple[float, float, float, float]


def _crop(row: _Row, policy: CropPolicy) -> tuple[bytes, bool]:
    """The file that a row shows, and whether it is the crop of a found face."""
    if row.pixels is None:
        # As found, so that it is refused where it would be used, as the picture itself would be.
        return row.data, False
    if row.face is not None:
        try:
            return policy.crop_bytes(row.pixels, row.face), True
        except NoCropError:
            pass
    return policy.encoded(policy.fallback(row.pixels, row.box)), False


def _rows(folder: DatasetFolder, part: RowRange) -> Iterator[_Row]:
    """The rows of a range in order; neighbours that share a picture decode it once."""
    names = ("image_digest", "face_box")
    labels = folder.view.frame(folder.stored_labels(part.split, names).slice(part.start, len(part)), names)
    pictures = SplitPictures(folder, part.split)
    faces = folder.load(part.split, [FACES.group(NAME_OF_FACES)]).data.table.slice(part.start, len(part))
    seen, path, data, pixels, orientation = "", "", b"", None, 1
    for number, (digest, box) in enumerate(zip(labels["image_digest"], labels["face_box"].to_numpy(), strict=True)):
        if digest != seen:
            seen, row = digest, part.start + number
            data, path = bytes(pictures[row]), pictures.path(row)
            pixels, orientation = _decoded(data)
        face = _face(faces, number)
        turned = (np.nan,) * 4 if pixels is None else _upright(box, pixels, orientation)
        yield _Row(path, data, pixels, face, turned)


def _decoded(data: bytes) -> tuple[Pixels | None, int]:
    try:
        return upright_pixels(data), orientation_of(data)
    except PictureError:
        return None, 1


def _upright(box: NDArray[np.float32], pixels: Pixels, orientation: int) -> tuple[float, float, float, float]:
    stored = upright_size(pixels.shape[1], pixels.shape[0], orientation)
    return upright_box(box.tolist(), orientation, stored)


def _face(faces: pa.Table, row: int) -> DetectedFace | None:
    """The found face of a row of a table of faces; None if nothing was found."""
    values = {
        name: faces.column(FACES.column(NAME_OF_FACES, name))[row].as_py()
        for name in ("found", "box", "score", "points")
    }
    if not values["found"]:
        return None
    points = np.array(values["points"], np.float32).reshape(5, 2)
    left, top, right, bottom = values["box"]
    return DetectedFace((left, top, right, bottom), values["score"], points if np.isfinite(points).all() else None)


def _report(folder: DatasetFolder, writer: CropWriter, kept: dict[str, int]) -> CropReport:
    parts = []
    for split in folder.splits:
        columns = folder.load(split, [writer.group, FACES.group(NAME_OF_FACES)]).data.table
        cropped, found = CROPS.column(writer.policy.name, CROPPED), FACES.column(NAME_OF_FACES, "found")
        parts.append(
            folder.labels(split, ("database",)).with_columns(
                cropped=pl.Series(columns.column(cropped).to_numpy()), found=pl.Series(columns.column(found).to_numpy())
            )
        )
    counted = (
        pl.concat(parts)
        .group_by("database")
        .agg(
            rows=pl.len(),
            cropped=pl.col("cropped").sum(),
            no_face=(~pl.col("found")).sum(),
            refused=(pl.col("found") & ~pl.col("cropped")).sum(),
        )
    )
    databases = {row.pop("database"): CropCounts(**row) for row in counted.sort("database").to_dicts()}
    rows = sum(counts.rows for counts in databases.values())
    return CropReport(writer.group, writer.policy, kept.get(writer.group, rows), databases)
