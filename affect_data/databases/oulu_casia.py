"""Reads Oulu-CASIA: people who pose six expressions from a neutral face to their peak, in three lights, before two cameras."""

import re
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.class_folders import named_class
from affect_data.databases.facts import Evidence, Grade, NativeValue
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals

ARCHIVES: Final = ("B_OriginalImg", "OriginalImg")
PERSON: Final = re.compile(r"P\d{3}", re.IGNORECASE)
FRAME: Final = re.compile(r"(\d{3})\.(?:jpe?g|png|bmp)", re.IGNORECASE)
PEOPLE: Final = 80
NO_FRAMES: Final = "sequence without frames"


class OuluCasiaOptions(DatabaseOptions):
    """What a data recipe may say of Oulu-CASIA."""

    release: None = Field(None, description="there is one release only")
    camera: Literal["VL", "NI"] = Field("VL", description="visible light, or near infrared")
    light: Literal["Strong", "Weak", "Dark"] = Field("Strong", description="the light of the room")
    peak_frames: int = Field(
        1,
        ge=1,
        le=3,
        description="how many last frames of a sequence are rows; papers take three, the label holds for the peak",
    )


class OuluCasia(Database):
    """Oulu-CASIA NIR&VIS: 80 people pose six expressions from a neutral face to the peak; the last frame shows the expression.

    Official layout::

        OriginalImg/VL/Strong/P001/Anger/000.jpeg     camera (VL, NI), light (Strong, Weak, Dark), person, expression, frames from 0
        also: in folders with the archive's name, B_OriginalImg/OriginalImg/VL/...

    Traps:
        - The class is the name of the folder; there is no list of labels, and folders are never read by their order.
        - The label holds for the last frame, the peak; sequences begin with a neutral face. Other frames have no label. A copy
          that lost a last frame would label the one before it, and nothing in the files tells.
        - There is no neutral class.
        - Two cameras show the same sequences, and people posed them again in three lights: the recipe chooses one of the six folders.
        - There is no official split. Papers part people into ten folds, each in its own way.
        - Faces that were cut out beforehand (`PreProcess_Img`) are not read.
    """

    name = "oulu_casia"
    title = "Oulu-CASIA"
    homepage = "https://www.oulu.fi/en/university/faculties-and-units/faculty-information-technology-and-electrical-engineering/center-for-machine-vision-and-signal-analysis"
    citation = """@article{zhao2011facial,
  title = {Facial expression recognition from near-infrared videos},
  author = {Zhao, Guoying and Huang, Xiaohua and Taini, Matti and Li, Stan Z. and Pietik{\\"a}inen, Matti},
  journal = {Image and Vision Computing},
  volume = {29},
  number = {9},
  pages = {607--619},
  year = {2011},
  doi = {10.1016/j.imavis.2011.07.002}
}"""
    licence = Licence(
        "signed agreement; research only; no redistribution",
        publishes=Tier.RECIPE,
        url="https://www.oulu.fi/en/university/faculties-and-units/faculty-information-technology-and-electrical-engineering/center-for-machine-vision-and-signal-analysis",
    )
    source_family = "oulu_casia"
    aliases = ("Oulu-CASIA NIR&VIS", "Oulu CASIA NIR-VIS")
    signs = tuple(
        f"{above}{camera}/strong/p[0-9][0-9][0-9]"
        for above in ("originalimg/", "*/originalimg/", "b_originalimg/")
        for camera in ("vl", "ni")
    )
    counted_as = ""
    totals = MappingProxyType(
        {"": Totals({"people": PEOPLE, "sequences": 480}, "the paper: 80 people, six expressions")}
    )
    picture_reasons = (NO_FRAMES,)
    mapping = tuple(
        NativeValue("folder", native, unified)
        for native, unified in (
            ("Anger", "anger"),
            ("Disgust", "disgust"),
            ("Fear", "fear"),
            ("Happiness", "happiness"),
            ("Sadness", "sadness"),
            ("Surprise", "surprise"),
        )
    )
    expressions = tuple(row.unified for row in mapping)
    evidence = (
        Evidence(
            "pictures lie in OriginalImg/<camera>/<light>/<person>/<expression>/000.jpeg",
            Grade.CODE,
            "seven independent scripts that read the official archive",
        ),
        Evidence(
            "a sequence goes from a neutral face to the peak of its expression",
            Grade.DOCUMENTED,
            "the paper, as papers that use it quote it",
        ),
        Evidence(
            "frames are numbered from 000", Grade.CODE, "paths in these scripts; two frames of one number are a defect"
        ),
    )
    Options: ClassVar[type[DatabaseOptions]] = OuluCasiaOptions
    options: OuluCasiaOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each last frame of a sequence: image, subject, track, frame, expression.

        Raises:
            DatabaseNotFoundError: there is no folder of the camera and the light.
        """
        camera, light = self.options.camera, self.options.light
        folder = _place(root, camera, light)
        if folder is None:
            raise self.not_found(root, because=f"there is no folder OriginalImg/{camera}/{light}")
        sequences = self._sequences(root, folder)
        root.count("people", len({subject for subject, _, _ in sequences}))
        root.count("sequences", len(sequences))
        found: list[tuple[str, str, str, int | None, str]] = []
        for subject, expression, place in sequences:
            frames = root.numbered(place, FRAME, "frame")
            last = sorted(frames)[-self.options.peak_frames :]
            track = f"{camera}/{light}/{subject}/{expression}"
            found += [(f"{place}/{frames[n]}", subject, track, n, expression) for n in last] or [
                (place, subject, track, None, expression)
            ]
        schema = {
            "image": pl.String,
            "subject": pl.String,
            "track": pl.String,
            "frame": pl.Int32,
            "expression": pl.String,
        }
        rows = pl.DataFrame(found, schema, orient="row")
        rows = root.drop_excluded(rows.with_columns(source_file="image", source_line=pl.lit(1, pl.Int32)))
        root.fail(rows.filter(pl.col("frame").is_null()), NO_FRAMES)
        root.note(f"{len(sequences):,} sequences in {folder}")
        return rows.drop_nulls("frame")

    def _sequences(self, root: DatabaseRoot, folder: str) -> list[tuple[str, str, str]]:
        """Person, expression and folder of each sequence, sorted; a person who lacks one of the expressions is a loss."""
        found = []
        people = [name for name in sorted(root.entries(folder)) if PERSON.fullmatch(name)]
        for person in people:
            names = {name: named_class(name) for name in sorted(root.entries(f"{folder}/{person}"))}
            own = {name: label for name, label in names.items() if label in self.expressions}
            if absent := sorted(set(self.expressions) - set(own.values())):
                root.lose(f"{person} lacks {', '.join(absent)}")
            if other := [name for name in names if name not in own and not name.startswith(".")]:
                root.note(f"not read in {folder}/{person}: {', '.join(other)}")
            found += [(person.upper(), label or "", f"{folder}/{person}/{name}") for name, label in own.items()]
        if not found:
            expected = "folders such as P001/Anger"
            root.defect(folder, 0, "no sequence", expected, "unpack the official archive there")
        return found


def _place(root: DatabaseRoot, camera: str, light: str) -> str | None:
    """The folder of a camera and a light, where the archive may have been unpacked into a folder with its name; None if there is none."""
    places = ["", *(path for name in ARCHIVES if (path := root.one_of(name)))]
    places += [path for place in places[1:] if (path := root.one_of(ARCHIVES[1], under=place))]
    for place in reversed(places):
        above = root.one_of(camera, under=place)
        folder = root.one_of(light, under=above) if above else None
        if folder is not None:
            return folder
    return None
