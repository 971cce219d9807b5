"""Draws videos with valence and arousal in files of their own, and the frames that a user extracts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from affect_data.demo.sampler import FaceSampler
from affect_data.demo.truth import DemoFiles, PlacedFace

SIZE: Final = 48
FRAMES_OF_VIDEO: Final = 22
LACKS_AROUSAL: Final = 1
"""The video whose arousal ends one frame before its valence."""
LACKS_FRAME: Final = (2, 4)
"""A video, and its frame that is missing."""


@dataclass(frozen=True)
class Form:
    """How a database writes such videos.

    Attributes:
        ratings: path of a file of ratings, from ``{video}`` and ``{label}``.
        line: a line of it, from ``{number}`` and ``{value}``.
        frame: name of a frame's file, from ``{number}``.
        first: the number of a video's first frame.
        first_video: the number of the first video.
    """

    ratings: str
    line: str
    frame: str
    first: int
    first_video: int = 0


def write_rated_videos(root: Path, sampler: FaceSampler, faces: int, form: Form) -> DemoFiles:
    """The files written under `root` and the truth of their faces, one for each frame.

    Quirks: a file of ratings that ends before the other, and a missing frame.
    """
    count = max(3, round(faces / FRAMES_OF_VIDEO))
    placed: list[PlacedFace] = []
    listed = 0
    for index in range(count):
        video, name = sampler.video((faces + index) // count), str(form.first_video + index)
        (root / "frames" / name).mkdir(parents=True)
        for label in ("valence", "arousal"):
            rated = video[:-1] if (label == "arousal" and index == LACKS_AROUSAL) else video
            path = root / form.ratings.format(video=name, label=label)
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [form.line.format(number=n, value=getattr(face, label)) for n, face in enumerate(rated)]
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        listed += len(video)
        for number, face in enumerate(video):
            if (index, number) != LACKS_FRAME:
                image = f"frames/{name}/{form.frame.format(number=number + form.first)}"
                face.draw(SIZE).save(root / image, quality=92)
                placed.append(PlacedFace(image, -1, face))
    return DemoFiles(placed, listed)
