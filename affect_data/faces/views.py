"""What of a picture a detector is shown: copies of a known size, whose faces are brought back to the picture."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import Image

from affect_data.faces.detection import DetectedFace, Pixels

SHORTEST: Final = 160
"""The shorter side of what a detector is shown, at least, unless the longer one would exceed `FaceDetector.longest`."""

MARGIN: Final = 0.5
"""Of a box, on each side of it."""


@dataclass(frozen=True)
class View:
    """A part of a picture as a detector is shown it.

    Attributes:
        pixels: uint8 [height, width, 3].
        left: of the part in the picture; it may lie outside.
        top: of the part in the picture; it may lie outside.
        scale: pixels of the view for each pixel of the picture.
    """

    pixels: Pixels
    left: float
    top: float
    scale: float

    def brought_back(self, face: DetectedFace) -> DetectedFace:
        """A face of the view in pixels of the picture."""
        x0, y0, x1, y1 = (value / self.scale for value in face.box)
        corner = np.array((self.left, self.top))
        points, landmarks = (
            None if places is None else (places / self.scale + corner).astype(np.float32)
            for places in (face.points, face.landmarks)
        )
        box = (x0 + self.left, y0 + self.top, x1 + self.left, y1 + self.top)
        return replace(face, box=box, points=points, landmarks=landmarks)


def whole(pixels: Pixels, longest: int) -> View:
    """The whole picture, uint8 [height, width, 3], with sides between `SHORTEST` and `longest`."""
    height, width = pixels.shape[:2]
    return _shown(pixels, (0, 0, width, height), longest)


def around(pixels: Pixels, box: tuple[float, float, float, float], longest: int) -> View | None:
    """A box x0 y0 x1 y1 and its surroundings, so that a small face is shown larger; None if the box misses the picture."""
    height, width = pixels.shape[:2]
    across, down = MARGIN * (box[2] - box[0]), MARGIN * (box[3] - box[1])
    left, top = max(0, round(box[0] - across)), max(0, round(box[1] - down))
    right, bottom = min(width, round(box[2] + across)), min(height, round(box[3] + down))
    if right <= left or bottom <= top:
        return None
    return _shown(pixels, (left, top, right, bottom), longest)


def bordered(pixels: Pixels, longest: int) -> View:
    """The whole picture within a border of its mean colour: a face that fills its picture has no surroundings to stand out from."""
    view = _shown(pixels, (0, 0, pixels.shape[1], pixels.shape[0]), longest // 2)
    height, width = view.pixels.shape[:2]
    border = round(MARGIN * max(width, height))
    canvas = np.empty((height + 2 * border, width + 2 * border, 3), np.uint8)
    canvas[:] = view.pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    canvas[border : border + height, border : border + width] = view.pixels
    return View(canvas, -border / view.scale, -border / view.scale, view.scale)


def _shown(pixels: Pixels, part: tuple[int, int, int, int], longest: int) -> View:
    left, top, right, bottom = part
    seen = pixels[top:bottom, left:right]
    height, width = seen.shape[:2]
    scale = min(max(1.0, SHORTEST / min(height, width)), longest / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size != (width, height):
        picture = Image.fromarray(np.ascontiguousarray(seen)).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
        seen = np.asarray(picture)
    return View(np.ascontiguousarray(seen), float(left), float(top), scale)
