"""Writes VEATIC's official layout with demo faces: two files of ratings for each video, and the frames that a user extracts."""

from pathlib import Path
from typing import Final

from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(tint=(0.95, 1.0, 1.05), brightness=0.9, gradient=0.3, turn=0.6, blur=0.004)
"""What sets its pictures apart: films."""

SIZE: Final = 48
FRAMES_OF_VIDEO: Final = 22
LACKS_AROUSAL: Final = 1
"""The video whose arousal ends one frame before its valence."""
LACKS_FRAME: Final = (2, 4)
"""A video, and its frame that is missing."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces, one for each frame.

    Official quirks: numbers of frames from 0 and without leading zeros; a file of ratings that ends too early, and a missing frame.
    """
    (root / "rating_averaged").mkdir()
    count = max(3, round(faces / FRAMES_OF_VIDEO))
    placed: list[PlacedFace] = []
    listed = 0
    for index in range(count):
        video = sampler.video((faces + index) // count)
        (root / "frames" / str(index)).mkdir(parents=True)
        for label in ("valence", "arousal"):
            rated = video[:-1] if (label == "arousal" and index == LACKS_AROUSAL) else video
            lines = [f"{number},{getattr(face, label)}\n" for number, face in enumerate(rated)]
            (root / "rating_averaged" / f"{index}_{label}.csv").write_text("".join(lines), encoding="utf-8")
        listed += len(video)
        for number, face in enumerate(video):
            if (index, number) != LACKS_FRAME:
                image = f"frames/{index}/{number}.jpg"
                face.draw(SIZE).save(root / image, quality=92)
                placed.append(PlacedFace(image, -1, face))
    return DemoFiles(placed, listed)
