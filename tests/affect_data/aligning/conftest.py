"""Small ExpWs of given photographs, built."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
from PIL import Image

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.folder import DatasetFolder
from affect_data.demo.sampler import FaceSampler

Photograph = tuple[Image.Image, Sequence[tuple[int, int, int, int]], int]
"""A picture as stored, a box x0 y0 x1 y1 in it for each of its rows, and its EXIF orientation."""

MakePhotographs = Callable[..., DatasetFolder]


def face(seed: int, size: int = 120) -> Image.Image:
    return FaceSampler(seed).photograph().draw(size)


def pasted(width: int, height: int, *places: tuple[int, int], size: int = 120) -> Image.Image:
    """Drawn faces in a room, each with its upper left corner at a place."""
    room = Image.new("RGB", (width, height), (120, 130, 140))
    for seed, place in enumerate(places, start=1):
        room.paste(face(seed, size), place)
    return room


def _lines(file: str, boxes: Sequence[tuple[int, int, int, int]]) -> list[str]:
    return [f"{file} {number} {y0} {x0} {x1} {y1} 20.5 3\n" for number, (x0, y0, x1, y1) in enumerate(boxes)]


@pytest.fixture
def make_photographs(tmp_path: Path) -> MakePhotographs:
    """A function that builds a dataset of photographs, by name."""

    def make(
        photographs: Mapping[str, Photograph],
        name: str = "merged",
        also: Mapping[str, tuple[list[Image.Image], Sequence[tuple[int, int, int, int]]]] = MappingProxyType({}),
    ) -> DatasetFolder:
        root = tmp_path / f"{name}.expw"
        (root / "image" / "origin").mkdir(parents=True)
        (root / "label").mkdir()
        lines = []
        for photograph, (picture, boxes, orientation) in photographs.items():
            exif = Image.Exif()
            exif[0x0112] = orientation
            picture.save(root / "image" / "origin" / f"{photograph}.png", exif=exif)
            lines += _lines(f"{photograph}.png", boxes)
        for file, (frames, boxes) in also.items():
            frames[0].save(root / "image" / "origin" / file, save_all=True, append_images=frames[1:])
            lines += _lines(file, boxes)
        (root / "label" / "label.lst").write_text("".join(lines), encoding="utf-8")
        (root / DRAWN_MARKER).write_text("Faces drawn by a test; nobody's.\n", encoding="utf-8")
        recipe = recipe_from({"databases": {"expw": {}}, "workers": 1, "shard_rows": 100}, "expw.yaml")
        return build(recipe, {"expw": root}, tmp_path / name).dataset

    return make
