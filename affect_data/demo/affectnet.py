"""Writes AffectNet's official layouts with demo faces: the csv release, and the numpy release."""

import hashlib
import io
import math
import zlib
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from affect_data.databases.affectnet.forms import LIST_COLUMNS
from affect_data.databases.affectnet.reader import AffectNet
from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=8.0, tint_spread=0.05, brightness_spread=0.15)
"""What sets its pictures apart."""

VALIDATION_SHARE: Final = 0.15
PICTURE_SIZE: Final = 120
SMALLEST_FACE, LARGEST_FACE = 72, 100
CROP_SIZE: Final = 96
FOLDERS: Final = 1347

NONE, UNCERTAIN, NO_FACE = 8, 9, 10
WITHOUT_EXPRESSION_EVERY: Final = 13
"""One line in so many has each of the classes None, Uncertain and No-Face."""
EXTENSIONS: Final = {2: "JPG", 4: "tif", 6: "png", 8: "jpeg", 10: "PNG"}
"""Extensions other than jpg, by the position in each list."""
TRUNCATED, WITHOUT_BOX = 1, 5
"""Positions in the training list of the image that is cut off and of the line without a box."""

FACE_ARCS: Final = (
    (17, 0.50, 0.40, 0.38, 0.50, 1.0, 0.0),
    (5, 0.31, 0.36, 0.11, 0.06, 1.0, 2.0),
    (5, 0.69, 0.36, 0.11, 0.06, 1.0, 2.0),
    (4, 0.50, 0.50, 0.00, 0.10, 1.5, 0.5),
    (5, 0.50, 0.60, 0.07, 0.03, 1.0, 0.0),
    (6, 0.32, 0.44, 0.07, 0.04, 1.0, 2.7),
    (6, 0.68, 0.44, 0.07, 0.04, 1.0, 2.7),
    (12, 0.50, 0.76, 0.14, 0.06, 1.0, 2.8),
    (8, 0.50, 0.76, 0.10, 0.03, 1.0, 2.7),
)
"""The 68 landmarks as arcs: points, centre, radii (parts of the box), first and last angle (in half turns)."""


class Line(NamedTuple):
    """One line of a csv list: an image and its labels."""

    path: str
    box: tuple[int, int, int, int] | None  # x, y, width, height
    code: int
    valence: float
    arousal: float

    def __str__(self) -> str:
        box = ",".join(map(str, self.box)) if self.box else "NULL,NULL,-1,-1"
        marks = ";".join(f"{value:.2f}" for value in _landmarks(*self.box)) if self.box else "NULL"
        return f"{self.path},{box},{marks},{self.code},{self.valence:.6g},{self.arousal:.6g}"


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces in the layout of the csv release.

    Official quirks: the classes None (with valence and arousal), Uncertain and No-Face (with -2), extensions in any case and a TIFF, an image that is
    cut off, a face without a box, a validation list without header. The validation set is balanced.
    """
    rng = _generator(sampler)
    images = root / "Manually_Annotated" / "Manually_Annotated_Images"
    lists = root / "Manually_Annotated_file_lists"
    lists.mkdir(parents=True)
    validation = round(VALIDATION_SHARE * faces)
    placed: list[PlacedFace] = []
    for name, count in (("training", faces - validation), ("validation", validation)):
        is_training = name == "training"
        lines = [",".join(LIST_COLUMNS)] if is_training else []
        for index in range(count):
            face = _face(sampler, index, is_balanced=not is_training)
            line = _line(face, index, rng, has_box=not (is_training and index == WITHOUT_BOX))
            data = _photograph(face, line, rng)
            path = images / line.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[: len(data) // 3] if is_training and index == TRUNCATED else data)
            lines.append(str(line))
            if line.code not in (UNCERTAIN, NO_FACE):
                placed.append(PlacedFace(path.relative_to(root).as_posix(), -1, face))
        (lists / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return DemoFiles(placed, listed=faces)


def write_numpy(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces in the layout of the numpy release: crops with a tiny array for each label.

    Official quirks: expressions as text in arrays without dimensions, numbers with gaps, an image that is missing in the validation set. One face
    lacks its arousal, another its expression.
    """
    rng = _generator(sampler)
    validation = max(1, round(VALIDATION_SHARE * faces))
    placed: list[PlacedFace] = []
    number = 0
    for name, count in (("train_set", faces - validation), ("val_set", validation)):
        images, annotations = root / name / "images", root / name / "annotations"
        images.mkdir(parents=True)
        annotations.mkdir()
        for index in range(count):
            number += int(rng.integers(1, 4))
            face = _face(sampler, index, is_balanced=name == "val_set")
            labels = {
                "exp": np.array(str(AffectNet.expressions.index(face.expression))),
                "val": np.array(f"{face.valence:.6g}"),
                "aro": np.array(f"{face.arousal:.6g}"),
                "lnd": np.array(_landmarks(0, 0, CROP_SIZE, CROP_SIZE)),
            }
            absent = {0: "aro", 1: "exp"}.get(index) if name == "train_set" else None
            for suffix, values in labels.items():
                if suffix != absent:
                    np.save(annotations / f"{number}_{suffix}.npy", values)
            if name == "train_set" or index > 0:
                face.draw(CROP_SIZE).save(images / f"{number}.jpg", quality=92)
                placed.append(PlacedFace(f"{name}/images/{number}.jpg", -1, face))
    return DemoFiles(placed, listed=faces)


def _generator(sampler: FaceSampler) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(sampler.photograph().view).encode()))


def _face(sampler: FaceSampler, index: int, *, is_balanced: bool) -> DemoFace:
    expressions = AffectNet.expressions
    return sampler.photograph(expression=expressions[index % len(expressions)] if is_balanced else None)


def _line(face: DemoFace, index: int, rng: np.random.Generator, *, has_box: bool) -> Line:
    """The labels of a face: at some positions no expression and, except for None, no valence and arousal either."""
    place = index % WITHOUT_EXPRESSION_EVERY
    code = {3: NONE, 7: UNCERTAIN, 9: NO_FACE}.get(place, AffectNet.expressions.index(face.expression))
    digest = hashlib.sha224(rng.bytes(16)).hexdigest()
    path = f"{rng.integers(1, FOLDERS + 1)}/{digest}.{EXTENSIONS.get(index, 'jpg')}"
    size = int(rng.integers(SMALLEST_FACE, LARGEST_FACE + 1))
    x, y = (int(value) for value in rng.integers(0, PICTURE_SIZE - size + 1, 2))
    valence, arousal = (-2.0, -2.0) if code in (UNCERTAIN, NO_FACE) else (face.valence, face.arousal)
    return Line(path, (x, y, size, size) if has_box and code != NO_FACE else None, code, valence, arousal)


def _photograph(face: DemoFace, line: Line, rng: np.random.Generator) -> bytes:
    """The bytes of a picture somewhat larger than the face. For No-Face it has no face; for lines without a box the face fills it."""
    grain = rng.integers(40, 216, (4, 4, 3), dtype=np.uint8)
    picture = Image.fromarray(grain).resize((PICTURE_SIZE, PICTURE_SIZE), Image.Resampling.BILINEAR)
    if line.code != NO_FACE:
        x, y, size, _ = line.box or (0, 0, PICTURE_SIZE, PICTURE_SIZE)
        picture.paste(face.draw(size), (x, y))
    data = io.BytesIO()
    kind = {"tif": "TIFF", "png": "PNG"}.get(line.path.rpartition(".")[2].lower(), "JPEG")
    picture.save(data, kind, **({"quality": 92} if kind == "JPEG" else {}))
    return data.getvalue()


def _landmarks(x: int, y: int, width: int, height: int) -> list[float]:
    """68 points of a face that fills a box, as 136 numbers x, y, x, y, ..., in pixels."""
    numbers = []
    for points, across, down, radius_x, radius_y, first, last in FACE_ARCS:
        for point in range(points):
            angle = math.pi * (first + (last - first) * point / (points - 1))
            numbers += [
                round(x + width * (across + radius_x * math.cos(angle)), 2),
                round(y + height * (down + radius_y * math.sin(angle)), 2),
            ]
    return numbers
