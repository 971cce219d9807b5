"""Writes the AVEC form of SEWA with demo faces: labels ten times a second, one of the videos, and the frames that a user extracts."""

from pathlib import Path
from typing import Final

from affect_data.databases.sewa import COLUMNS, RATE
from affect_data.demo.clip import write_clip
from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(
    rotation=3.0, turn=0.4, gradient=0.15, tint=(1.0, 0.97, 0.93), brightness=0.92, blur=0.006, noise=9.0
)
"""What sets its pictures apart: web cameras."""

SIZE: Final = 48
LABELS_OF_RECORDING: Final = 18
RECORDINGS: Final = ("Train_DE_01", "Devel_DE_01", "Train_HU_01", "Devel_HU_01")
FRAMES_OF_LABEL: Final = 2
"""The video has twice as many frames as labels."""
NO_HEADER: Final = 2
"""The recording whose labels have no header, as those of AVEC 2018."""
LACKS_FRAME: Final = (1, 3)
"""A recording, and its label whose frame is missing."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces, one for each label.

    Official quirks: names in single quotes, a file without a header; and a missing frame. Only the first recording has its video.
    """
    (root / "labels").mkdir()
    count = max(2, round(faces / LABELS_OF_RECORDING))
    placed: list[PlacedFace] = []
    listed = 0
    for index in range(count):
        part, culture, _ = RECORDINGS[index % len(RECORDINGS)].split("_")
        name = f"{part}_{culture}_{index // len(RECORDINGS) + 1:02d}"
        labelled = sampler.video((faces + index) // count, name)
        _write_labels(root / "labels" / f"{name}.csv", name, labelled, titled=index != NO_HEADER)
        listed += len(labelled)
        (root / "frames" / name).mkdir(parents=True)
        pictures = [face.draw(SIZE) for face in labelled]
        for number, (face, picture) in enumerate(zip(labelled, pictures, strict=True)):
            if (index, number) != LACKS_FRAME:
                image = f"frames/{name}/{number:05d}.jpg"
                picture.save(root / image, quality=92)
                placed.append(PlacedFace(image, -1, face))
        if index == 0:
            (root / "video").mkdir()
            shown = [picture for picture in pictures for _ in range(FRAMES_OF_LABEL)]
            write_clip(root / "video" / f"{name}.avi", shown, RATE * FRAMES_OF_LABEL)
    return DemoFiles(placed, listed)


def _write_labels(path: Path, name: str, faces: list[DemoFace], *, titled: bool) -> None:
    lines = [";".join(COLUMNS)] if titled else []
    for number, face in enumerate(faces):
        values = (number / RATE, face.arousal, face.valence, face.valence / 2)
        lines.append(f"'{name}';" + ";".join(f"{value:.6f}" for value in values))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
