"""Face tracks: the same number for the same face through the frames of a video, given by what was found in each frame alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from affect_data.faces.assignment import assigned
from affect_data.faces.cuts import CutFinder
from affect_data.faces.detection import DetectedFace, Pixels

LONGEST_GAP: Final = 30
"""Frames in a row in which a face may be missing; after more of them it gets a new number."""

FARTHEST: Final = 1.3
"""The largest cost at which a face still belongs to a track."""

UNCERTAIN: Final = 0.2
"""By how much each frame without the face makes its place less certain: distances count less."""

LOST: Final = 0.1
"""What a track costs that was not found in the frame before: one that was comes first."""

COLOURS: Final = 3.5
"""The weight of a difference of colours of the whole range, in sides of the face."""

MOST_COLOURS: Final = 0.75
"""The most that colours count for a face that was in the frame before: a hand or a lamp may change them at once."""

TRUST: Final = 0.6
SPEED_TRUST: Final = 0.2
"""How far a found face moves what is known of the place and the speed of its track: the two weights of an alpha-beta filter."""

COLOUR_TRUST: Final = 0.1
PATCHES: Final = 6
LEAST_PATCHES: Final = 6
"""How many patches two faces must both show, so that their colours are compared."""

LEAST_SIDE: Final = 1.0

Places = NDArray[np.float64]
"""[7, 2]: two corners of the box, and the five points (NaN if there are none)."""

Colours = NDArray[np.float32]
"""[PATCHES, PATCHES, 3] of the inside of a box, from 0 to 1; NaN where they are not known."""


@dataclass
class _Track:
    """What is known of a face: where it was last, how fast it moves, which colours it has."""

    number: int
    frame: int
    """Where it was last found."""
    places: Places
    speed: NDArray[np.float64]
    """[2], pixels a frame."""
    colours: Colours

    def expected(self, frame: int) -> Places:
        """The places in a later frame, if the face goes on as it moved."""
        return self.places + self.speed * (frame - self.frame)

    def cost(self, frame: int, face: DetectedFace, places: Places, colours: Colours) -> float:
        """How little a face of a later frame looks like this one."""
        missed = frame - self.frame - 1
        far = _distance(places, self.expected(frame))
        if missed:
            # Who is hidden for a while may have stopped there, or turned back.
            far = min(far, _distance(places, self.places))
        far /= max(math.sqrt(face.area), LEAST_SIDE)
        differ = COLOURS * _difference(colours, self.colours)
        return far / (1 + UNCERTAIN * missed) + (differ + LOST if missed else min(differ, MOST_COLOURS))

    def found(self, frame: int, places: Places, colours: Colours) -> None:
        """Takes in what a frame shows of the face."""
        expected = self.expected(frame)
        off = places - expected
        self.speed = self.speed + SPEED_TRUST * off[:2].mean(axis=0) / (frame - self.frame)
        self.places = np.where(np.isnan(off), places, expected + TRUST * off)
        change = colours - self.colours
        self.colours = np.where(np.isnan(self.colours), colours, self.colours + COLOUR_TRUST * np.nan_to_num(change))
        self.frame = frame


class FaceTracker:
    """Numbers the faces of a video, frame after frame; its memory does not grow with the video.

    A face belongs to the track that it costs least to join, all tracks and faces of a frame considered together (the pairing with the smallest sum).
    The cost is the distance, in sides of the face, from where the track would be if it had moved on at its speed (a mean over the box's corners and
    the five points, where both have them), and the difference of colours, which keeps two people who pass each other from being swapped. A face that
    no track is near enough for begins a new one, as do all faces after a cut. A track ends when its face was missing for more than `LONGEST_GAP`
    frames.

    Source: tracking by detection as in Bewley et al., Simple Online and Realtime Tracking (2016), with an alpha-beta filter for the motion, points
    beside the box, and colours.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._cuts = CutFinder()
        self._begun = 0

    def follow(self, frame: int, faces: Sequence[DetectedFace], pixels: Pixels | None = None) -> list[int]:
        """The track number of each face, from 0 on; no two faces of a frame have the same, and one is never given again after its track has ended.

        Args:
            frame: the frame's number, larger than the last one; frames may be left out.
            faces: found in the frame.
            pixels: of the frame, uint8 [height, width, 3] RGB, for cuts and colours; None: places alone decide.
        """
        if pixels is not None and self._cuts.is_cut(pixels):
            self._tracks = []
        self._tracks = [track for track in self._tracks if frame - track.frame <= LONGEST_GAP + 1]
        places = [_places(face) for face in faces]
        colours = [_colours(faces, number, pixels) for number in range(len(faces))]
        costs = np.empty((len(self._tracks), len(faces)))
        for row, track in enumerate(self._tracks):
            costs[row] = [track.cost(frame, *found) for found in zip(faces, places, colours, strict=True)]
        numbers = [-1] * len(faces)
        for row, column in assigned(costs, FARTHEST):
            self._tracks[row].found(frame, places[column], colours[column])
            numbers[column] = self._tracks[row].number
        for column, number in enumerate(numbers):
            if number < 0:
                numbers[column] = self._begun
                self._tracks.append(_Track(self._begun, frame, places[column], np.zeros(2), colours[column]))
                self._begun += 1
        return numbers


def _places(face: DetectedFace) -> Places:
    points = np.full((5, 2), np.nan) if face.points is None else face.points.astype(np.float64)
    return np.concatenate([np.array(face.box, np.float64).reshape(2, 2), points])


def _distance(one: Places, other: Places) -> float:
    """The mean distance of the places that both have, in pixels."""
    return float(np.nanmean(np.linalg.norm(one - other, axis=1)))


def _colours(faces: Sequence[DetectedFace], own: int, pixels: Pixels | None) -> Colours:
    """The mean colours of the patches of a face's box; unknown beyond the picture, and where another face's box covers the middle of a patch."""
    if pixels is None:
        return np.full((PATCHES, PATCHES, 3), np.nan, np.float32)
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = faces[own].box
    left, top, right, bottom = math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)
    # Only what is needed becomes a picture of Pillow: frames are large, faces are small.
    row, column = max(0, min(top, height - 1)), max(0, min(left, width - 1))
    seen = Image.fromarray(np.ascontiguousarray(pixels[row : max(bottom, row + 1), column : max(right, column + 1)]))
    region = seen.crop((left - column, top - row, right - column, bottom - row))
    colours = np.asarray(region.resize((PATCHES, PATCHES), Image.Resampling.BOX), np.float32) / np.iinfo(np.uint8).max
    steps = (np.arange(PATCHES) + 0.5) / PATCHES
    xs, ys = np.meshgrid(left + (right - left) * steps, top + (bottom - top) * steps)
    known = (xs >= 0) & (ys >= 0) & (xs < width) & (ys < height)
    for box in (face.box for other, face in enumerate(faces) if other != own):
        known &= (xs < box[0]) | (xs >= box[2]) | (ys < box[1]) | (ys >= box[3])
    return np.where(known[..., None], colours, np.float32(np.nan))


def _difference(one: Colours, other: Colours) -> float:
    """The mean difference of the patches that both show, from 0 to 1; 0 if they are too few."""
    off = np.abs(one - other)
    known = ~np.isnan(off[..., 0])
    return float(off[known].mean()) if known.sum() >= LEAST_PATCHES else 0.0
