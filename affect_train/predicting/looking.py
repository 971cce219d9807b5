"""Looks at photographs and clips: finds their faces, follows them, cuts them out and has a model judge them."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from typing import Final

from affect_data.errors import DataError
from affect_data.faces.detection import DetectedFace, Pixels
from affect_data.faces.orientation import upright_pixels
from affect_data.faces.tracks import FaceTracker
from affect_data.pictures import PictureError
from affect_data.video.decoding import Video, VideoFrame
from affect_train.inference.cropping import faces_as_trained
from affect_train.inputs.files import picture_bytes
from affect_train.inputs.preprocess import Preprocessing
from affect_train.predicting.columns import Seen
from affect_train.predicting.estimating import Estimator, Predicted
from affect_train.predicting.finding import FaceFinder, ahead
from affect_train.predicting.progress import PicturesDone
from affect_train.predicting.sources import Source

CHUNK_BYTES: Final = 64 * 2**20
"""Frames that are looked at together take no more memory than this, and are no more than `CHUNK`."""

CHUNK: Final = 16

Judged = Iterator[tuple[Seen, Predicted]]


@dataclass
class Stages:
    """Seconds that each stage took; decoding and finding run while the stages after them work, so that the sum may exceed the whole."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the time of the block to a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


@dataclass
class Looked:
    """What is known of a source after it was looked at.

    Attributes:
        kind: "photograph" or "clip".
        width: of the upright picture, in pixels; 0 if it was never decoded.
        height: of the upright picture.
        frames: that were decoded.
        without_face: of these.
        faces: found in all frames.
        tracks: begun.
        not_cut: faces that could not be cut as in training, by the reason.
        defect: why the source, or the rest of it, could not be decoded; empty if all was.
    """

    kind: str
    width: int = 0
    height: int = 0
    frames: int = 0
    without_face: int = 0
    faces: int = 0
    tracks: int = 0
    not_cut: Counter[str] = field(default_factory=Counter)
    defect: str = ""

    def note(self, shape: tuple[int, ...], faces: int) -> None:
        """Counts a picture of [height, width, 3] and its faces."""
        self.height, self.width = shape[:2]
        self.frames += 1
        self.faces += faces
        self.without_face += not faces

    def tell(self, _: int, because: str) -> None:
        """Counts a face that could not be cut as in training."""
        self.not_cut[because] += 1


class Looker:
    """Looks at photographs and clips, one after the other.

    Args:
        finder: of faces.
        estimator: judges cropped faces.
        preprocessing: of its model.
        stages: are told what takes how long.
        done: counts the pictures that are done.
    """

    def __init__(
        self,
        finder: FaceFinder,
        estimator: Estimator,
        preprocessing: Preprocessing,
        stages: Stages,
        done: PicturesDone,
    ) -> None:
        self._finder = finder
        self._estimator = estimator
        self._preprocessing = preprocessing
        self._stages = stages
        self._done = done

    def look(self, sources: Sequence[tuple[Source, Looked]]) -> Judged:
        """The faces of all sources and what the model says of them, in the order of sources and frames.

        A source that cannot be decoded is noted in its `Looked`; the faces found before that are given all the same.
        """
        for is_clip, group in groupby(sources, key=lambda pair: pair[0].is_clip):
            if not is_clip:
                yield from self._photographs(list(group))
                continue
            for source, looked in group:
                try:
                    yield from self._clip(source, looked)
                except DataError as error:
                    looked.defect = _without_folder(error, source)
                self._done.finish(source.name)
                yield from self._finished()

    def _photographs(self, sources: list[tuple[Source, Looked]]) -> Judged:
        for pictures, found in ahead(partial(self._found_in_photographs, sources)):
            for picture, faces in zip(pictures, found, strict=True):
                name, looked, pixels = picture.source.name, picture.looked, picture.pixels
                looked.note(pixels.shape, len(faces))
                with self._stages.timed("cut"):
                    crops = faces_as_trained(pixels, faces, self._preprocessing, data=picture.data, told=looked.tell)
                for number, (face, crop) in enumerate(zip(faces, crops, strict=True)):
                    # For a model that reads tracks, each face of a photograph is one of a single frame.
                    yield from self._judged(Seen(name, number, face), crop, -1 - number, 0)
                self._done.add(name, 1)
                self._done.finish(name)
        # Those that could not be decoded, too.
        for source, _ in sources:
            self._done.finish(source.name)
        yield from self._finished()

    def _found_in_photographs(
        self, sources: list[tuple[Source, Looked]]
    ) -> Iterator[tuple[list["_Photograph"], list[list[DetectedFace]]]]:
        """Photographs that can be decoded, and their faces, a few at a time; defects are noted."""
        waiting, size = list[_Photograph](), 0
        for number, (source, looked) in enumerate(sources, start=1):
            with self._stages.timed("decode"):
                try:
                    waiting.append(_decoded(source, looked))
                    size += waiting[-1].pixels.nbytes
                except DataError as error:
                    looked.defect = _without_folder(error, source)
            if waiting and (len(waiting) == CHUNK or size >= CHUNK_BYTES or number == len(sources)):
                with self._stages.timed("find"):
                    found = self._finder.find([picture.pixels for picture in waiting])
                yield waiting, found
                waiting, size = [], 0

    def _clip(self, source: Source, looked: Looked) -> Judged:
        tracker = FaceTracker()
        with Video(source.path) as video:
            for frames, found in ahead(partial(self._found_in_clip, video, source, looked)):
                for frame, faces in zip(frames, found, strict=True):
                    looked.note(frame.pixels.shape, len(faces))
                    with self._stages.timed("track"):
                        tracks = tracker.follow(frame.number, faces, frame.pixels)
                    looked.tracks = max(looked.tracks, 1 + max(tracks, default=-1))
                    with self._stages.timed("cut"):
                        crops = faces_as_trained(frame.pixels, faces, self._preprocessing, told=looked.tell)
                    for number, (face, track) in enumerate(zip(faces, tracks, strict=True)):
                        seen = Seen(source.name, number, face, frame.number, frame.timestamp, track)
                        yield from self._judged(seen, crops[number], track, frame.number)
                self._done.add(source.name, len(frames))

    def _found_in_clip(
        self, video: Video, source: Source, looked: Looked
    ) -> Iterator[tuple[list[VideoFrame], list[list[DetectedFace]]]]:
        """Frames of a clip and their faces, a few frames at a time; a defect ends them and is noted."""
        frames = video.frames()
        most = max(1, min(CHUNK, CHUNK_BYTES // (3 * video.width * video.height)))
        while not looked.defect:
            decoded = list[VideoFrame]()
            with self._stages.timed("decode"):
                try:
                    for frame in islice(frames, most):
                        # One by one, so that those before a defect are kept.
                        decoded.append(frame)
                except DataError as error:
                    looked.defect = _without_folder(error, source)
            if not decoded:
                return
            with self._stages.timed("find"):
                found = self._finder.find([frame.pixels for frame in decoded])
            yield decoded, found

    def _judged(self, seen: Seen, crop: Pixels, track: int, frame: int) -> Judged:
        with self._stages.timed("network"):
            ready = list(self._estimator.add(seen, crop, track, frame))
        yield from ready

    def _finished(self) -> Judged:
        with self._stages.timed("network"):
            ready = list(self._estimator.finish())
        yield from ready


@dataclass(frozen=True)
class _Photograph:
    """A decoded photograph: the bytes of its file, and its upright pixels."""

    source: Source
    looked: Looked
    data: bytes
    pixels: Pixels


def _decoded(source: Source, looked: Looked) -> _Photograph:
    data = picture_bytes(source.path)
    try:
        return _Photograph(source, looked, data, upright_pixels(data))
    except PictureError as error:
        raise DataError(f"image '{source.path}': the image cannot be decoded: {error}") from error


def _without_folder(error: DataError, source: Source) -> str:
    """What is wrong with a source, by the name that the table has for it: results hold no path of this machine."""
    return str(error).replace(str(source.path), source.name)
