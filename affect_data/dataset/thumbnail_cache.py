"""Small pictures of faces, made once and kept in the user's cache folder, never in the dataset.

::

    ~/.cache/affectkit/thumbnails/<hash of the dataset's path>/<fingerprint of its pictures>/<rows / 64>.faces

Pictures that change have another fingerprint; what was kept for an earlier one is removed, so that nobody who was erased stays in the cache.
"""

import hashlib
import io
import os
import shutil
import struct
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
from PIL import Image, ImageDraw

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.pictures import SplitPictures
from affect_data.dataset.thumbnails import face_picture
from affect_data.environment import CACHES
from affect_data.errors import DataError, UnknownNameError
from affect_data.files import write_cache
from affect_data.video.reader import VideoError

CACHE: Final = "AFFECT_CACHE"
"""The environment variable that names another cache folder."""

SIZE: Final = 128
"""Pixels of a side."""
FACES_PER_FILE: Final = 64

_GREY: Final = (128, 128, 128)
_HEAD: Final = struct.Struct(f"<{FACES_PER_FILE}I")
_NO_PICTURE: Final = b"-"


def thumbnails_of(folder: Path) -> Path:
    """Where the small pictures of a dataset are kept, whatever its pictures are."""
    cache = Path(os.environ.get(CACHE) or CACHES[CACHE]).expanduser()
    return cache / "thumbnails" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]


def forget_thumbnails(folder: Path) -> None:
    """Removes the small pictures of a dataset."""
    shutil.rmtree(thumbnails_of(folder), ignore_errors=True)


class Pictures:
    """The pictures of a dataset by split and number; several threads may read them.

    Args:
        folder: the dataset.
    """

    def __init__(self, folder: DatasetFolder) -> None:
        self._folder = folder
        self._pictures: dict[str, SplitPictures | None] = {}

    def read(self, split: str, number: int) -> bytes | None:
        """The file of a row's picture; None if the dataset holds no pictures.

        Raises:
            VideoError: the picture is a frame of a video that is gone or has changed.
        """
        if split not in self._pictures:
            try:
                self._pictures[split] = SplitPictures(self._folder, split)
            except (DataError, UnknownNameError):
                self._pictures[split] = None
        pictures = self._pictures[split]
        return None if pictures is None else bytes(pictures[number])


class ThumbnailCache:
    """Small faces, each made when it is first asked for.

    Args:
        folder: the dataset.
        boxes: face boxes by split, as lists of four; NaN for none.
    """

    def __init__(self, folder: DatasetFolder, boxes: Mapping[str, pa.ChunkedArray]) -> None:
        self.pictures = Pictures(folder)
        self._boxes = boxes
        own = thumbnails_of(folder.path)
        self._place = own / folder.manifest.fingerprints.pictures[:24]
        for other in own.glob("*"):
            if other != self._place:
                shutil.rmtree(other, ignore_errors=True)
        self._locks = [threading.Lock() for _ in range(16)]

    def strip(self, places: Sequence[tuple[str, int]]) -> bytes:
        """A JPEG with a square of `SIZE` pixels for each place, from left to right; a crossed one where there is no picture.

        Args:
            places: splits and numbers of rows.
        """
        found: dict[tuple[str, int], bytes] = {}
        files = dict.fromkeys((split, number // FACES_PER_FILE) for split, number in places)
        for split, file in files:
            wanted = {number for name, number in places if (name, number // FACES_PER_FILE) == (split, file)}
            found |= {(split, number): face for number, face in self._faces(split, file, wanted).items()}
        strip = Image.new("RGB", (SIZE * len(places), SIZE), _GREY)
        draw = ImageDraw.Draw(strip)
        for i, place in enumerate(places):
            if found[place] == _NO_PICTURE:
                draw.line((SIZE * i + 40, 40, SIZE * i + 88, 88), (160, 160, 160), 3)
                draw.line((SIZE * i + 40, 88, SIZE * i + 88, 40), (160, 160, 160), 3)
                continue
            face = Image.open(io.BytesIO(found[place]))
            strip.paste(face, (SIZE * i + (SIZE - face.width) // 2, (SIZE - face.height) // 2))
        out = io.BytesIO()
        strip.save(out, "JPEG", quality=85)
        return out.getvalue()

    def _faces(self, split: str, file: int, wanted: set[int]) -> dict[int, bytes]:
        path = self._place / split / f"{file}.faces"
        with self._locks[hash((split, file)) % len(self._locks)]:
            kept = _read(path)
            first = file * FACES_PER_FILE
            made = {number: self._make(split, number) for number in wanted if not kept[number - first]}
            if made:
                for number, face in made.items():
                    kept[number - first] = face
                # Where the cache cannot be written, as on a full disk, faces are made again.
                _keep(path, kept)
        return {number: kept[number - first] for number in wanted}

    def _make(self, split: str, number: int) -> bytes:
        try:
            data = self.pictures.read(split, number)
            return _NO_PICTURE if data is None else face_picture(data, self._boxes[split][number].as_py(), SIZE)
        except VideoError:
            # Not kept: the video may be put back, and whoever looks should be told.
            raise
        except DataError:
            return _NO_PICTURE


def _keep(path: Path, faces: Sequence[bytes]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_cache(path, _HEAD.pack(*map(len, faces)) + b"".join(faces))
    except OSError:
        return


def _read(path: Path) -> list[bytes]:
    """The faces of a file, empty where one is not made yet; a file that is damaged counts as empty."""
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    if len(data) >= _HEAD.size:
        lengths = _HEAD.unpack_from(data)
        if sum(lengths) == len(data) - _HEAD.size:
            faces, place = [], _HEAD.size
            for length in lengths:
                faces.append(data[place : place + length])
                place += length
            return faces
    return [b""] * FACES_PER_FILE
