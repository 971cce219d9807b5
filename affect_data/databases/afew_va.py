"""Reads AFEW-VA: 600 film clips with valence and arousal of one actor in every frame."""

import json
import re
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, ClassVar, Final

import numpy as np
import polars as pl
from pydantic import Field

from affect_data.bounds import BoundError, parse_json
from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.facts import Evidence, Grade, NativeValue
from affect_data.databases.root import FIX_LINE, DatabaseRoot
from affect_data.databases.totals import Totals
from affect_data.pictures import PictureError, open_picture

CLIP_FOLDER: Final = re.compile(r"\d{3}")
PART_FOLDER: Final = re.compile(r"\d{1,2}")
FRAME_FILE: Final = re.compile(r"(\d+)\.(?:png|jpe?g)", re.IGNORECASE)
FRAME_ENTRY: Final = re.compile(r'"(\d+)"\s*:\s*\{')
LANDMARKS: Final = 68
BROADCAST_SIZE: Final = (720, 576)
HIGHEST: Final = 10
SCALED: Final = {native: native / HIGHEST for native in range(-HIGHEST, HIGHEST + 1)}
FRAME_COLUMNS: Final = pl.Schema(
    {
        "source_file": pl.String(),
        "source_line": pl.Int32(),
        "track": pl.String(),
        "subject": pl.String(),
        "image": pl.String(),
        "frame": pl.Int32(),
        "valence": pl.String(),
        "arousal": pl.String(),
        "face_box": pl.List(pl.Float32),
    }
)


class AfewVaOptions(DatabaseOptions):
    """What a data recipe may say of AFEW-VA."""

    release: None = Field(None, description="there is one release only")


class AfewVa(Database):
    """AFEW-VA: 600 clips of films, valence and arousal of one actor in every frame.

    Official layout::

        01/001/00000.png       frames, numbered from 0; twelve archives 01.zip to 12.zip of fifty clips each
        01/001/001.json        {"actor": ..., "frames": {"00000": {"arousal": 5.0, "landmarks": [...], "valence": 0.0}, ...}, "video_id": "001"}
        ...
        12/600/600.json        (clips directly in the root, 001/001.json, are read too)

    Traps:
        - Valence and arousal are whole numbers from -10 to 10, written as decimals.
        - Several clips show one actor: only the field `actor` tells. Some have none.
        - Landmarks are in the pixels of a frame of 720 by 576. Pictures that were stretched to square pixels keep that height and are wider; there
          the face box is stretched with them. Where landmarks fit neither frame nor picture, it stays empty.
        - There is no official split.
        - Clips are from the films of AFEW, so people and scenes are shared with AFEW and SFEW.

    A row's line is the one on which its frame's entry begins; in a file without line breaks that is 1 for all frames.
    """

    name = "afew_va"
    title = "AFEW-VA"
    homepage = "https://ibug.doc.ic.ac.uk/resources/afew-va-database/"
    citation = """@article{kossaifi2017afew,
  title = {{AFEW-VA} database for valence and arousal estimation in-the-wild},
  author = {Kossaifi, Jean and Tzimiropoulos, Georgios and Todorovic, Sinisa and Pantic, Maja},
  journal = {Image and Vision Computing},
  volume = {65},
  pages = {23--36},
  year = {2017},
  doi = {10.1016/j.imavis.2017.02.001}
}"""
    licence = Licence(
        "signed agreement; non-commercial research only; no redistribution",
        publishes=Tier.RECIPE,
        url="https://ibug.doc.ic.ac.uk/resources/afew-va-database/",
    )
    source_family = "afew"
    aliases = ("AFEW Valence Arousal",)
    signs = ("[0-9][0-9]/[0-9][0-9][0-9]/[0-9][0-9][0-9].json", "[0-9][0-9][0-9]/[0-9][0-9][0-9].json")
    totals = MappingProxyType({"": Totals({"clips": 600, "frames": 30_051}, "the paper")})
    counted_as = "frames"
    valence_arousal = "-10..10 integers"
    reader_version = 2
    mapping = tuple(
        NativeValue(field, str(native), f"{field} {scaled:g}")
        for field in ("valence", "arousal")
        for native, scaled in SCALED.items()
    )
    evidence = (
        Evidence(
            "a json file a clip: actor, frames by number with arousal, landmarks and valence, video_id",
            Grade.SEEN,
            "one real file, that of clip 001",
        ),
        Evidence("frames are numbered from 0, one label for each picture", Grade.SEEN, "clip 001; loaders assert it"),
        Evidence("valence and arousal are whole numbers from -10 to 10", Grade.SEEN, "clip 001; the paper says so"),
        Evidence("landmarks are in a frame of 720 by 576 pixels", Grade.CODE, "a public loader; clip 001 fits it"),
        Evidence("one name in `actor` is one person", Grade.ASSUMED, "nothing in the files could contradict it"),
    )
    Options: ClassVar[type[DatabaseOptions]] = AfewVaOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each frame: image, subject (the actor), track (the clip), frame, face_box, valence, arousal.

        Raises:
            DatabaseNotFoundError: there is no clip folder with pictures or labels.
        """
        clips = _clips(root)
        if not clips:
            raise self.not_found(root, because="there is no clip folder such as 01/001 or 001")
        root.count("clips", len(clips))
        unboxed, stretched = list[str](), list[str]()
        frames = [frame for clip in clips for frame in _read_clip(root, clip, unboxed, stretched)]
        rows = root.drop_excluded(pl.DataFrame(frames, FRAME_COLUMNS, orient="row"))
        rows = root.integers(rows, ["valence", "arousal"], SCALED)
        root.note(f"{len(clips)} clips, {len(rows):,} frames, {rows['subject'].drop_nulls().n_unique()} named actors")
        if stretched:
            root.note(
                f"face box stretched from a frame 720 wide to the pictures in {len(stretched)} clip(s): {', '.join(stretched)}"
            )
        if unboxed:
            root.note(
                f"face box left empty in {len(unboxed)} clip(s), whose landmarks do not fit the pictures: {', '.join(unboxed)}"
            )
        return rows.with_columns(
            pl.col("valence", "arousal").replace_strict(SCALED, return_dtype=pl.Float64),
            pl.col("face_box").list.to_array(4),
        )


def _clips(root: DatabaseRoot) -> list[str]:
    """The folders of the clips, sorted by clip; folders with other names are noted, a second folder of a clip is a defect."""
    found: dict[str, str] = {}
    ignored: list[str] = []
    parts = [name for name in sorted(root.entries()) if PART_FOLDER.fullmatch(name) and root.entries(name)]
    for parent in ["", *map(root.inner_of, parts)]:
        for name in sorted(root.entries(parent)):
            path = root.inner_of(str(PurePosixPath(parent) / name))
            if not root.entries(path) or (not parent and name in parts):
                continue
            if CLIP_FOLDER.fullmatch(name) is None:
                ignored.append(path)
            elif name in found:
                root.defect(
                    path,
                    0,
                    f"clip {name} again",
                    f"one folder for each clip (also {found[name]})",
                    "remove one of them",
                )
            else:
                found[name] = path
    if ignored:
        root.note(f"ignored folder(s), not named like a clip: {', '.join(ignored)}")
    return [found[name] for name in sorted(found)]


def _read_clip(root: DatabaseRoot, clip: str, unboxed: list[str], stretched: list[str]) -> list[tuple[Any, ...]]:
    """The frames of a clip as tuples of `FRAME_COLUMNS`, valence and arousal still as text; empty if the clip as a whole has a defect."""
    name = PurePosixPath(clip).name
    path = f"{clip}/{name}.json"
    pictures = {match[1]: match[0] for match in map(FRAME_FILE.fullmatch, sorted(root.entries(clip))) if match}
    if f"{name}.json" not in root.entries(clip):
        root.defect(
            path, 0, f"no such file beside {len(pictures)} picture(s)", "the labels of the clip",
            "unpack the archive again, or remove the folder",
        )  # fmt: skip
        return []
    root.lose_unread(clip, [entry for entry in root.label_files(clip) if entry != f"{name}.json"], f"{name}.json")
    text = root.read_document(path)
    labels = _parse(root, path, text)
    if labels is None or not _fits(root, path, name, labels, pictures):
        return []
    actor = str(labels.get("actor") or "").strip() or None
    lines = _lines_of_entries(text)
    boxes = _face_boxes(root, path, labels["frames"], lines)
    scale = _scale(root, clip, pictures, boxes)
    if scale is None:
        unboxed.append(clip)
    elif scale != 1:
        stretched.append(clip)
    boxes = {key: [x0 * scale, y0, x1 * scale, y1] for key, (x0, y0, x1, y1) in boxes.items()} if scale else {}
    return [
        (
            path, lines.get(key, 1), name, actor, f"{clip}/{pictures[key]}", int(key),
            _as_text(frame.get("valence")), _as_text(frame.get("arousal")), boxes.get(key),
        )
        for key, frame in labels["frames"].items()
    ]  # fmt: skip


def _parse(root: DatabaseRoot, path: str, text: str) -> dict[str, Any] | None:
    """The JSON object of a file; None, and a defect, if it is none or holds a key twice."""

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            places = [match.start() for match in re.finditer(rf'"{re.escape(twice)}"\s*:', text)]
            line = text.count("\n", 0, places[-1]) + 1 if places else 0
            root.defect(path, line, f"the key '{twice}' twice", "each key once", "remove one of the entries")
        return result

    try:
        labels = parse_json(text, path, object_of)
    except BoundError as error:
        root.defect(path, 0, error.found, error.expected, error.remedy)
        return None
    except json.JSONDecodeError as error:
        root.defect(path, error.lineno, f"no JSON ({error.msg})", "a JSON file", "unpack the archive again")
        return None
    frames = labels.get("frames") if isinstance(labels, dict) else None
    if not isinstance(frames, dict) or not all(isinstance(frame, dict) for frame in frames.values()):
        root.defect(
            path, 1, "no object `frames` of objects", "labels by frame under `frames`", "unpack the archive again"
        )
        return None
    return labels  # type: ignore[no-any-return]


def _fits(root: DatabaseRoot, path: str, clip: str, labels: dict[str, Any], pictures: dict[str, str]) -> bool:
    """Whether labels belong to this clip and to exactly its pictures; if not, a defect is recorded."""
    named = labels.get("video_id", clip)
    if str(named) != clip:
        root.defect(
            path, 0, f"video_id = {named!r}", f"the clip of the folder, '{clip}'", "put the file into its own folder"
        )
        return False
    frames = labels["frames"].keys()
    unpictured, unlabelled = sorted(frames - pictures.keys()), sorted(pictures.keys() - frames)
    for found, names in (("no picture", unpictured), ("no label", unlabelled)):
        if names:
            more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
            root.defect(
                path, 0, f"{found} of frame {names[0]}{more}",
                f"one label for each picture ({len(frames):,} labels, {len(pictures):,} pictures)",
                "unpack the archive of the clip again",
            )  # fmt: skip
    return not unpictured and not unlabelled


def _lines_of_entries(text: str) -> dict[str, int]:
    """The 1-based line on which each frame's entry begins."""
    lines: dict[str, int] = {}
    line, seen = 1, 0
    for match in FRAME_ENTRY.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        lines.setdefault(match[1], line)
    return lines


def _face_boxes(
    root: DatabaseRoot, path: str, frames: dict[str, dict[str, Any]], lines: dict[str, int]
) -> dict[str, list[float]]:
    """The box around the landmarks of each frame that has any: x0, y0, x1, y1; landmarks in another form are a defect."""
    boxes: dict[str, list[float]] = {}
    for key, frame in frames.items():
        if not frame.get("landmarks"):
            continue
        try:
            points = np.array(frame["landmarks"], dtype=np.float64)
        except (TypeError, ValueError):
            points = np.empty(0)
        if points.shape != (LANDMARKS, 2) or not np.isfinite(points).all():
            root.defect(
                path,
                lines.get(key, 1),
                f"landmarks of frame {key} of another form",
                f"{LANDMARKS} pairs of numbers",
                FIX_LINE,
            )
            continue
        boxes[key] = [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
    return boxes


def _scale(root: DatabaseRoot, clip: str, pictures: dict[str, str], boxes: dict[str, list[float]]) -> float | None:
    """What the x of a clip's landmarks is multiplied by to be in pixels of its pictures; None if they fit in no way."""
    if not boxes:
        return 1.0
    try:
        with open_picture(root.path / clip / min(pictures.values())) as picture:
            width, height = picture.size
    except (OSError, PictureError):
        return None
    _, _, right, bottom = np.max(list(boxes.values()), axis=0)
    # Stretched to square pixels. Landmarks of the unstretched frame would seem to fit.
    is_stretched = height == BROADCAST_SIZE[1] and width != BROADCAST_SIZE[0]
    if right > (BROADCAST_SIZE[0] if is_stretched else width) or bottom > height:
        return None
    return width / BROADCAST_SIZE[0] if is_stretched else 1.0


def _as_text(value: object) -> str:
    """A JSON value as text for checking: whole numbers without decimals."""
    if value is None:
        return "missing"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)
