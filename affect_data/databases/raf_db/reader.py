"""Reads RAF-DB: one of seven basic expressions, or one of eleven compound ones, for each of thirty thousand web photographs."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field, field_validator

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.class_folders import checked_order, class_folders, read_class_folders
from affect_data.databases.facts import Evidence, Grade, labels_of, numbered
from affect_data.databases.licence import Reading
from affect_data.databases.raf_db.attributes import ATTRIBUTE_CODES, ATTRIBUTES, with_attributes
from affect_data.databases.root import BOX, FIX_FILE, DatabaseRoot
from affect_data.databases.totals import Totals

BASIC: Final = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
COMPOUND: Final = (
    "happily surprised",
    "happily disgusted",
    "sadly fearful",
    "sadly angry",
    "sadly surprised",
    "sadly disgusted",
    "fearfully angry",
    "fearfully surprised",
    "angrily surprised",
    "angrily disgusted",
    "disgustedly surprised",
)
LISTS: Final = ("list_patition_label.txt", "list_partition_label.txt")
TEXT: Final = {"picture": pl.String, "source_file": pl.String}

Images = Literal["aligned", "original"]
IMAGES: Final[tuple[Images, ...]] = ("aligned", "original")


class RafDbOptions(DatabaseOptions):
    """What a data recipe may say of RAF-DB."""

    images: Images = Field(
        "aligned",
        description="the aligned faces of 100 by 100 pixels, or the original photographs with their face boxes",
    )
    subset: Literal["basic", "compound"] | None = Field(
        None, description="the only subset to read; by default each that is there"
    )
    class_order: tuple[str, ...] | None = Field(
        None,
        description="the expressions of numbered class folders, in order; needed where the official list is absent",
    )

    @field_validator("class_order")
    @classmethod
    def _of_the_vocabulary(cls, class_order: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return checked_order(class_order, BASIC)


def _by_class(part: str, counts: tuple[int, ...]) -> dict[str, int]:
    return {f"{part} faces of {name}": count for name, count in zip(BASIC, counts, strict=True)}


@dataclass(frozen=True)
class Subset:
    """One of the two parts of RAF-DB.

    Attributes:
        name: of the part.
        column: column of the rows for its labels.
        classes: names of the classes; the first has the code 1.
        picture: pattern of the picture names in its list; the number of digits differs between the parts.
        example: two such names.
    """

    name: str
    column: str
    classes: tuple[str, ...]
    picture: str
    example: str

    @property
    def folders(self) -> tuple[str, ...]:
        """The folder names under which users unpack the part."""
        return (self.name, f"raf-{self.name}", f"raf_{self.name}")


SUBSETS: Final = {
    "basic": Subset(
        "basic",
        "expression",
        BASIC,
        r"^(train_\d{5}|test_\d{4})\.jpg$",
        "train_00001.jpg or test_0001.jpg",
    ),
    "compound": Subset(
        "compound",
        "compound_expression",
        COMPOUND,
        r"^(train_\d{4}|test_\d{3})\.jpg$",
        "train_0001.jpg or test_001.jpg",
    ),
}


MAPPING: Final = (
    *(row for subset in SUBSETS.values() for row in numbered(subset.column, subset.classes, first=1)),
    *ATTRIBUTE_CODES,
)
EVIDENCE: Final = (
    Evidence("classes of the basic part count from 1, in this order", Grade.SEEN, "all 15,339 lines of a real list"),
    Evidence("the split is the beginning of a picture's name", Grade.SEEN, "the real lists of both parts"),
    Evidence(
        "classes of the compound part count from 1, in this order", Grade.CODE, "public loaders; a real list of it"
    ),
    Evidence("lines 6 to 8 of a file of attributes are gender, race, age", Grade.SEEN, "11,800 real files"),
    Evidence("gender 0, 1, 2 is male, female, unsure", Grade.ASSUMED, "secondary sources; another number is a defect"),
    Evidence(
        "a box is left, top, right, bottom", Grade.CODE, "two independent loaders; a box without area is a defect"
    ),
)

TOTALS: Final = {
    "basic train faces": 12_271,
    "basic test faces": 3_068,
    "compound test faces": 792,
    **_by_class("basic train", (1290, 281, 717, 4772, 1982, 705, 2524)),
    **_by_class("basic test", (329, 74, 160, 1185, 478, 162, 680)),
}


class RafDb(Database):
    """Real-world Affective Faces Database: web photographs with one of seven basic or of eleven compound expressions each.

    Official layout::

        basic/EmoLabel/list_patition_label.txt                        <picture> <class 1..7>, for example train_00001.jpg 5
        basic/Image/aligned/train_00001_aligned.jpg                   faces of 100 x 100 pixels; test_0001_aligned.jpg and on
        basic/Image/original/train_00001.jpg                          photographs (recipe option images: original)
        basic/Annotation/boundingbox/train_00001_boundingbox.txt      left top right bottom in the photograph
        basic/Annotation/manual/train_00001_manu_attri.txt            five landmarks, then gender, race and age, a line each (optional)
        compound/...                                                  the same with classes 1..11, train_0001.jpg and test_001.jpg

    Traps:
        - Classes count from 1, and their order is RAF-DB's own.
        - The two parts have different pictures under like names: test_0001.jpg is of the basic part, train_0001.jpg of the compound part.
          A name that does not belong to its part is a defect.
        - The split is the beginning of the picture's name. There is no validation split, and no subjects.
        - Copies in class folders, train/Surprise, are read by their names. Numbers are in RAF-DB's order or in AffectNet's: they are read only
          with the option class_order.
        - A photograph may show several people; the box says whom the label describes. Aligned pictures need none.
        - Gender, race and age stand in one file a photograph, as numbers after the landmarks. They are what annotators saw in the picture, and
          "unsure" is one of the answers.
        - Landmarks and the files of the annotators' votes (EmoLabel/distribution_*.txt) are not read.
    """

    name = "raf_db"
    title = "RAF-DB"
    homepage = "http://www.whdeng.cn/raf/model1.html"
    citation = """@inproceedings{li2017reliable,
  title = {Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the Wild},
  author = {Li, Shan and Deng, Weihong and Du, JunPing},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages = {2584--2593},
  year = {2017},
  doi = {10.1109/CVPR.2017.277}
}
@article{li2019reliable,
  title = {Reliable Crowdsourcing and Deep Locality-Preserving Learning for Unconstrained Facial Expression Recognition},
  author = {Li, Shan and Deng, Weihong},
  journal = {IEEE Transactions on Image Processing},
  volume = {28},
  number = {1},
  pages = {356--370},
  year = {2019},
  doi = {10.1109/TIP.2018.2868382}
}"""
    licence = Licence(
        "on request from an academic address; non-commercial research only; neither pictures nor derived data may be passed on",
        publishes=Tier.RECIPE,
        url="http://www.whdeng.cn/raf/model1.html",
        reading=Reading("2026-11-30", "the terms of RAF-CE, whose owners are the same (whdeng.cn/RAF/model4.html)"),
    )
    source_family = "raf"
    aliases = ("RAF", "Real-world Affective Faces")
    lookalikes = MappingProxyType({"*rafce*label.txt": "RAF-CE", "*/*rafce*label.txt": "RAF-CE"})
    signs = (
        *(f"{folder}/emolabel/{name}" for subset in SUBSETS.values() for folder in subset.folders for name in LISTS),
        *(f"{folder}{name}" for folder in ("", "emolabel/") for name in LISTS),
    )
    counted_as = ""
    totals = MappingProxyType(
        {"2017": Totals(TOTALS, "the official lists; of the compound part, the test faces alone")}
    )
    releases = ("2017",)
    reader_version = 2
    expressions = BASIC
    compound_expressions = COMPOUND
    mapping = MAPPING
    evidence = EVIDENCE
    people = ATTRIBUTES
    Options: ClassVar[type[DatabaseOptions]] = RafDbOptions
    options: RafDbOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each line of the lists: image, split, expression or compound_expression, people, and face_box for original photographs.

        Raises:
            DatabaseNotFoundError: there is no list, and no class folders whose order the recipe names.
        """
        found = {name: folder for name, folder in _subset_folders(root).items() if self.options.subset in (None, name)}
        if found:
            if self.options.class_order is not None:
                root.note("class_order is not used: the official lists are there")
            for absent in sorted(SUBSETS.keys() - found) if self.options.subset is None else ():
                there = next(iter(found))
                root.lose(f"the {absent} part is absent (`subset: {there}` in the recipe reads the {there} part alone)")
            return pl.concat(
                [self._faces(root, SUBSETS[name], folder) for name, folder in found.items()], how="diagonal_relaxed"
            )
        if self.options.subset != "compound" and class_folders(root):
            faces = read_class_folders(root, BASIC, self.options.class_order)
            if faces is None:
                raise self.not_found(
                    root,
                    because="the numbers of class folders do not say which expression they mean (RAF-DB's order and AffectNet's are both in use); "
                    f"name the expressions in the folders' order, for example `class_order: [{', '.join(BASIC)}]`",
                )
            return faces
        wanted = f"{self.options.subset or 'basic'}/EmoLabel/{LISTS[0]}"
        raise self.not_found(root, because=f"there is no {wanted}")

    def _faces(self, root: DatabaseRoot, subset: Subset, folder: str) -> pl.DataFrame:
        """The rows of one part."""
        faces = _listed(root, subset, folder)
        place = _image_folder(root, folder, self.options.images)
        stem = pl.col("picture").str.strip_suffix(".jpg")
        ending = "_aligned.jpg" if self.options.images == "aligned" else ".jpg"
        faces = faces.with_columns(
            image=pl.concat_str(pl.lit(f"{place}/"), stem, pl.lit(ending)),
            split=pl.col("picture").str.extract(r"^(train|test)_"),
        )
        faces = with_attributes(root, faces, folder)
        columns = ["image", "source_file", "source_line", "split", subset.column, *ATTRIBUTES]
        if self.options.images == "original":
            faces = _with_boxes(root, faces, folder)
            columns.append("face_box")
        for split in ("train", "test"):
            own = faces.filter(pl.col("split") == split)
            root.count(f"{subset.name} {split} faces", len(own))
            for label in subset.classes:
                root.count(f"{subset.name} {split} faces of {label}", int((own[subset.column] == label).sum()))
        counts = ", ".join(f"{(faces['split'] == split).sum():,} {split}" for split in ("train", "test"))
        root.note(f"{subset.name} part: {counts}; pictures in {place}")
        return faces.select(columns)


def _listed(root: DatabaseRoot, subset: Subset, folder: str) -> pl.DataFrame:
    """The lines of a part's list: picture, its label by name in the part's column, source_file, source_line."""
    listed = root.one_of(*LISTS, under=root.one_of("EmoLabel", under=folder) or folder)
    if listed is None:
        root.defect(
            _within(folder, f"EmoLabel/{LISTS[0]}"),
            0,
            "no such file",
            f"the labels of the {subset.name} part",
            "unpack the official archive there, or set `subset` in the recipe",
        )
        return pl.DataFrame(schema=dict.fromkeys(("picture", "source_file", subset.column), pl.String)).with_columns(
            source_line=pl.lit(None, dtype=pl.Int32)
        )
    faces = root.table(listed, ("picture", subset.column), separator=" ")
    root.refuse_empty(listed, faces, "no face", "one line for each face")
    faces = _checked_pictures(root, faces, subset, listed)
    return root.classes(faces, subset.column, labels_of(MAPPING, subset.column))


def _subset_folders(root: DatabaseRoot) -> dict[str, str]:
    """The folder of each part that exists; it is the root itself if that holds one part, recognised by the name of its first picture."""
    folders = {name: root.one_of(*subset.folders) for name, subset in SUBSETS.items()}
    found = {name: folder for name, folder in folders.items() if folder is not None}
    listed = root.one_of(*LISTS, under=root.one_of("EmoLabel") or "")
    if found or listed is None:
        return found
    first = pl.Series([root.first_line(listed).partition("\t")[0].partition(" ")[0]])
    return {name: "" for name, subset in SUBSETS.items() if first.str.contains(subset.picture).all()} or {"basic": ""}


def _checked_pictures(root: DatabaseRoot, faces: pl.DataFrame, subset: Subset, listed: str) -> pl.DataFrame:
    """The faces whose picture name belongs to the part and is not repeated; the others are defects."""
    fits = faces["picture"].str.contains(subset.picture)
    for other in SUBSETS.values():
        if len(faces) and other is not subset and faces["picture"].str.contains(other.picture).all():
            root.defect(
                listed,
                0,
                f"the list of the {other.name} part",
                f"the list of the {subset.name} part",
                "put each part's files into its own folder",
            )
            return faces.clear()
    expected = f"a name of the {subset.name} part, such as {subset.example}"
    faces = root.refuse(faces, ~fits, "picture = {picture!r}", expected)
    again = "{picture} again (first in line {first_line})"
    return root.refuse_repeated(faces, "picture", again, "one line for each picture")


def _image_folder(root: DatabaseRoot, folder: str, images: Images) -> str:
    """The folder of a part's pictures, relative to the root; a defect if there is none."""
    places = {kind: _place(root, folder, kind) for kind in IMAGES}
    place = places[images]
    if place is not None:
        return place
    others = [kind for kind in IMAGES if places[kind] is not None]
    root.defect(
        _within(folder, f"Image/{images}"),
        0,
        f"no such folder{''.join(f', but {places[kind]}' for kind in others)}",
        f"the folder of the {images} pictures",
        "unpack the archive of the pictures there"
        + "".join(f", or set `images: {kind}` in the recipe" for kind in others),
    )
    return _within(folder, f"Image/{images}")


def _place(root: DatabaseRoot, folder: str, kind: Images) -> str | None:
    for parent in (root.one_of("Image", under=folder), folder):
        place = root.one_of(kind, under=parent) if parent is not None else None
        if place is not None and (root.path / place).is_dir():
            return place
    return None


def _with_boxes(root: DatabaseRoot, faces: pl.DataFrame, folder: str) -> pl.DataFrame:
    """The faces with their `face_box`; a picture without a box file has none, which is noted."""
    within = root.one_of("Annotation", under=folder) or folder
    boxes = root.one_of("boundingbox", under=within)
    if boxes is None:
        root.defect(
            _within(folder, "Annotation/boundingbox"),
            0,
            "no such folder",
            "the face box of each original photograph",
            "unpack the annotations there, or set `images: aligned` in the recipe",
        )
        return faces.with_columns(face_box=pl.lit(None, dtype=pl.Array(pl.Float32, 4)))
    there = root.entries(boxes)
    files = {picture: f"{picture.removesuffix('.jpg')}_boundingbox.txt" for picture in faces["picture"]}
    found = {picture: f"{boxes}/{file}" for picture, file in files.items() if file in there}
    if len(found) < len(faces):
        root.note(f"{len(faces) - len(found):,} photographs without a file in {boxes}: the whole picture is the face")
    read = _read_boxes(root, list(found.values())).drop_nulls(BOX)
    box = pl.concat_list(BOX).cast(pl.List(pl.Float32)).list.to_array(4)
    place = pl.DataFrame({"picture": list(found), "source_file": list(found.values())}, schema_overrides=TEXT)
    boxed = place.join(read.select("source_file", face_box=box), on="source_file").drop("source_file")
    return faces.join(boxed, on="picture", how="left", maintain_order="left")


def _read_boxes(root: DatabaseRoot, paths: list[str]) -> pl.DataFrame:
    """The box in each file: source_file, source_line and the sides as numbers; a file without a valid box is a defect."""
    texts = pl.Series([root.read_text(path) for path in paths], dtype=pl.String)
    frame = pl.DataFrame({"source_file": paths, "text": texts}, schema_overrides={"source_file": pl.String})
    frame = frame.with_columns(source_line=pl.lit(1, dtype=pl.Int32), fields=pl.col("text").str.extract_all(r"\S+"))
    frame = frame.with_columns(count=pl.col("fields").list.len())
    found = "{count} field(s): {text!r}"
    frame = root.refuse(frame, pl.col("count") != len(BOX), found, f"4 field(s): {' '.join(BOX)}", FIX_FILE)
    frame = frame.with_columns(pl.col("fields").list.get(index).alias(side) for index, side in enumerate(BOX))
    return root.boxes(frame, FIX_FILE)


def _within(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path
