"""Reads AffectNet: an expression, valence and arousal for faces in web images, from the csv lists or from the numpy release."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field, field_validator

from affect_data.databases.affectnet.facts import EVIDENCE, MAPPING
from affect_data.databases.affectnet.file_lists import MANUAL_LISTS, MANUAL_NAMES, FileList, file_lists, find_list
from affect_data.databases.affectnet.forms import (
    CODES,
    CORNER,
    EXPRESSIONS,
    IMAGE_PATH,
    LIST_COLUMNS,
    NAMES,
    NATIVE,
    NO_BOX,
    NO_FACE,
    NO_VALUE,
    SIZE,
    UNCERTAIN,
    WITHOUT_EXPRESSION,
)  # fmt: skip
from affect_data.databases.affectnet.numpy_release import numpy_annotations
from affect_data.databases.affectnet.totals import TOTALS
from affect_data.databases.affectnet.typed_lists import typed_faces
from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.class_folders import checked_order, class_folders, read_class_folders
from affect_data.databases.licence import Reading
from affect_data.databases.root import FARTHEST_PIXEL, FIX_FILE, DatabaseRoot
from affect_data.databases.spelling import INDEX_COLUMN, bare, has_index, numbers, plain
from affect_data.databases.typed import UnusualError

SETS: Final = {"train_set": "train", "val_set": "validation"}
ABSENT: Final = "annotation file missing"


class AffectNetOptions(DatabaseOptions):
    """What a data recipe may say of AffectNet."""

    release: Literal["csv", "npy"] | None = Field(None, description="csv or npy; by default recognised from the files")
    automatic: bool = Field(
        default=False,
        description="whether the automatically annotated images, labelled by a network, join the training split (csv)",
    )
    class_order: tuple[str, ...] | None = Field(
        None, description="the expressions of numbered class folders, in order; needed where there is neither release"
    )

    @field_validator("class_order")
    @classmethod
    def _names_each_class(cls, class_order: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return checked_order(class_order, EXPRESSIONS)


class AffectNet(Database):
    """AffectNet: faces in images that web searches found, with one expression, valence and arousal each.

    Official layout::

        Manually_Annotated_file_lists/training.csv             csv release
        Manually_Annotated_file_lists/validation.csv
        Manually_Annotated/Manually_Annotated_Images/<number>/<hash>.<jpg, JPG, jpeg, png, tif, ...>
        Automatically_annotated_file_list/automatically_annotated.csv      (optional)
        Automatically_Annotated/Automatically_Annotated_Images/<number>/<hash>.<...>

        train_set/images/<id>.jpg                              npy release: 224 x 224 crops of classes 0 to 7
        train_set/annotations/<id>_{exp,val,aro,lnd}.npy
        val_set/images/<id>.jpg
        val_set/annotations/<id>_{exp,val,aro,lnd}.npy

    Traps:
        - A list may lack its header (``validation.csv`` often does), or its header may start with ``#``.
        - Folders are also called ``Manually_Annotated_compressed`` and ``Automatically_Annotated_file_lists``, and lists lie beside the images.
        - The classes 8 None, 9 Uncertain and 10 No-Face are no expressions. None keeps its valence and arousal; the other two have -2 for both.
          A row's own class stays in the side group `native`.
          Lines of No-Face, and of Uncertain without valence and arousal, give no row.
        - Where no face was detected the list says NULL for the corner of the box and -1 for its size; the row then has no box.
        - Extensions come in any case, and some images are TIFF; at least one is broken.
        - In the npy release an absent ``_exp``, ``_val`` or ``_aro`` file masks that label. Expressions are stored as text in arrays without
          dimensions. The validation set lacks one of its 4,000 images.
        - Copies in class folders, train/Surprise, are read by their names, without valence and arousal. The order of numbered ones differs from
          copy to copy: they are read only with the option class_order.

    Where both releases lie under one root, the csv lists are read, unless the recipe says ``release: npy``.
    """

    name = "affectnet"
    title = "AffectNet"
    homepage = "https://mohammadmahoor.com/pages/databases/affectnet/"
    citation = """@article{mollahosseini2019affectnet,
  title = {AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in the Wild},
  author = {Mollahosseini, Ali and Hasani, Behzad and Mahoor, Mohammad H.},
  journal = {IEEE Transactions on Affective Computing},
  volume = {10},
  number = {1},
  pages = {18--31},
  year = {2019},
  doi = {10.1109/TAFFC.2017.2740923}
}"""
    licence = Licence(
        "research only, signed by a lab manager or professor; neither images nor labels may be passed on",
        publishes=Tier.RECIPE,
        url="https://mohammadmahoor.com/pages/databases/affectnet/",
        reading=Reading(
            "2026-11-30",
            "the project's page, not the agreement; what that says of passing on is reported by others",
        ),
    )
    source_family = "affectnet"
    signs = (
        *(f"{place}/{name}".lstrip("/") for place in MANUAL_LISTS for name in MANUAL_NAMES.values()),
        *(f"{name}/annotations" for name in SETS),
    )
    totals = TOTALS
    releases = ("csv", "npy")
    reader_version = 2
    expressions = EXPRESSIONS
    native_expressions = NAMES
    mapping = MAPPING
    evidence = EVIDENCE
    valence_arousal = "-1..1 numbers; -2 where not annotated"
    # The paper gives only the region of happiness, as an example.
    tool_regions: ClassVar[Mapping[str, tuple[float, float, float, float]]] = MappingProxyType(
        {"happiness": (0.0, 1.0, -0.2, 0.5)}
    )
    Options: ClassVar[type[DatabaseOptions]] = AffectNetOptions
    options: AffectNetOptions

    def release_of(self, root: DatabaseRoot) -> str:
        """The recipe's release; by default ``csv`` if a list exists, otherwise ``npy`` if a set exists, otherwise empty."""
        if self.options.release is not None:
            return self.options.release
        if any(find_list(root, MANUAL_LISTS, name) for name in MANUAL_NAMES.values()):
            return "csv"
        return "npy" if any(root.one_of(name) for name in SETS) else ""

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each listed face with a label: image, face_box, split, expression, valence, arousal, and why labels are masked.

        Raises:
            DatabaseNotFoundError: there is neither release, or not the one that the recipe names.
        """
        release = self.release_of(root)
        if release == "csv" and (lists := file_lists(root, automatic=self.options.automatic)):
            return self._scan_lists(root, lists)
        if release == "npy" and any(root.one_of(name) for name in SETS):
            return self._scan_sets(root)
        if not release and class_folders(root):
            return self._scan_class_folders(root)
        raise self.not_found(
            root,
            because={
                "csv": "there is neither a training.csv nor a validation.csv",
                "npy": "there is neither a train_set nor a val_set",
            }.get(release, "there is neither Manually_Annotated_file_lists/training.csv (csv) nor train_set (npy)"),
        )

    def _scan_class_folders(self, root: DatabaseRoot) -> pl.DataFrame:
        """The faces of a copy whose folders are the labels."""
        faces = read_class_folders(root, EXPRESSIONS, self.options.class_order)
        if faces is None:
            raise self.not_found(
                root,
                because="the numbers of class folders do not say which expression they mean; name the expressions in the folders' order, "
                f"for example `class_order: [{', '.join(EXPRESSIONS)}]`",
            )
        root.lose("no valence and arousal, which class folders do not hold")
        return faces

    # ---------------------------------------------------------------- the csv release

    def _scan_lists(self, root: DatabaseRoot, lists: list[FileList]) -> pl.DataFrame:
        headers = {listed: skip for listed in lists if (skip := _header_lines(root, listed.path)) is not None}
        if not headers:
            return pl.DataFrame(schema=dict.fromkeys(("image", "source_file", "source_line"), pl.String))
        try:
            frames = [
                typed_faces(root, listed, header_lines=skip, has_index=_has_index(root, listed))
                for listed, skip in headers.items()
            ]
            faces, parsed = pl.concat(frames), True
        except UnusualError:
            frames = [_listed_faces(root, listed, skip) for listed, skip in headers.items()]
            faces, parsed = self._with_expressions(root, pl.concat(frames)), False
            for label in ("valence", "arousal"):
                faces = _with_number(root, faces, label)
        for (listed, skip), lines in zip(headers.items(), frames, strict=True):
            header = "a" if skip else "no"
            root.note(f"{listed.path}: {len(lines):,} lines, {header} header; images in {listed.images}")
        again = "{image} again (first at {first_file}:{first_line})"
        faces = _labelled(root, root.refuse_repeated(faces, "image", again, "one line for each image"))
        self._count(root, faces)
        faces = _with_boxes(root, faces if parsed else _with_sides(root, faces))
        columns = ("image", "source_file", "source_line", "split", "face_box", "expression", "expression_masked")
        return faces.select(*columns, "native_expression", "valence", "arousal")

    def _with_expressions(self, root: DatabaseRoot, faces: pl.DataFrame) -> pl.DataFrame:
        """The faces with `expression` by name, its native `code` and word, and `expression_masked`."""
        reason = pl.col("code").replace_strict(WITHOUT_EXPRESSION, default=None, return_dtype=pl.String)
        coded = faces.with_columns(code=plain(faces["expression"], CODES))
        native = pl.col("code").replace_strict(NATIVE, default=None, return_dtype=pl.String)
        return root.classes(coded, "expression", CODES).with_columns(expression_masked=reason, native_expression=native)

    def _count(self, root: DatabaseRoot, faces: pl.DataFrame) -> None:
        for split in MANUAL_NAMES:
            expressions = faces.filter(pl.col("split") == split)["expression"]
            root.count(f"{split} faces with an expression", expressions.count())
            for name in self.expressions:
                root.count(f"{split} faces of {name}", int((expressions == name).sum()))

    # ---------------------------------------------------------------- the npy release

    def _scan_sets(self, root: DatabaseRoot) -> pl.DataFrame:
        sets = []
        for name, split in SETS.items():
            folder = root.one_of(name)
            if folder is None:
                root.defect(name, 0, "no such folder", f"the folder {name}", "put the official folder there")
            else:
                sets.append(self._scan_set(root, folder).with_columns(split=pl.lit(split)))
        faces = _labelled(root, pl.concat(sets))
        self._count(root, faces)
        return faces.select(
            "image",
            "source_file",
            "source_line",
            "split",
            "expression",
            "expression_masked",
            "native_expression",
            "valence",
            "arousal",
            "va_masked",
        )

    def _scan_set(self, root: DatabaseRoot, folder: str) -> pl.DataFrame:
        """The faces of one set in the order of their numbers, each with the labels of its annotation files."""
        files = numpy_annotations(root, folder)
        faces = files.group_by("image", maintain_order=True).first().select("image", "source_file", "source_line")
        for label in ("expression", "valence", "arousal"):
            texts = files.filter(pl.col("text").is_not_null(), label=label).select(
                "image", "source_file", "source_line", pl.col("text").alias(label)
            )
            parsed = self._with_expressions(root, texts) if label == "expression" else _with_number(root, texts, label)
            parsed = parsed.drop("source_file", "source_line").with_columns(pl.lit(value=True).alias(f"has_{label}"))
            faces = faces.join(parsed, on="image", how="left", maintain_order="left")
        has_va = pl.col("has_valence").is_not_null() & pl.col("has_arousal").is_not_null()
        return faces.with_columns(
            pl.when(has_va).then(pl.col("valence", "arousal")),
            expression_masked=pl.when(pl.col("has_expression").is_null())
            .then(pl.lit(ABSENT))
            .otherwise("expression_masked"),
            va_masked=pl.when(~has_va).then(pl.lit(ABSENT)),
        )


def _header_lines(root: DatabaseRoot, path: str) -> int | None:
    """How many lines the header of a list takes, 0 or 1; None, and a defect, if it names other columns."""
    first = root.first_line(path)
    if LIST_COLUMNS[0].lower() not in first.lower():
        return 0
    names = first.lstrip("#").replace(" ", "").split(",")
    found = ",".join(names[1:] if has_index(names) else names)
    if found.lower() == ",".join(LIST_COLUMNS).lower():
        return 1
    root.defect(path, 1, f"the header {found!r}", f"the header {','.join(LIST_COLUMNS)}", FIX_FILE)
    return None


def _has_index(root: DatabaseRoot, listed: FileList) -> bool:
    return has_index(root.first_line(listed.path).split(","))


def _listed_faces(root: DatabaseRoot, listed: FileList, header_lines: int) -> pl.DataFrame:
    """The lines of a list with their `image` and `split`, without the landmarks."""
    index = [INDEX_COLUMN] if _has_index(root, listed) else []
    lines = root.table(listed.path, (*index, *LIST_COLUMNS), skip_lines=header_lines).drop("facial_landmarks", *index)
    root.refuse_empty(listed.path, lines, "no annotated line", "one line for each image")
    lines = lines.with_columns(bare(lines["subDirectory_filePath"]))
    path = pl.col("subDirectory_filePath")
    found = "subDirectory_filePath = {subDirectory_filePath!r}"
    root.refuse(lines, ~path.str.contains(IMAGE_PATH), found, "<number>/<image file>")
    return lines.with_columns(image=pl.format("{}/{}", pl.lit(listed.images), path), split=pl.lit(listed.split))


def _with_number(root: DatabaseRoot, faces: pl.DataFrame, label: str) -> pl.DataFrame:
    """The faces with valence or arousal as a number; -2 becomes null, and `no_<label>` marks it."""
    stands = numbers(faces[label]) == NO_VALUE
    marked = faces.with_columns(stands.fill_null(value=False).alias(f"no_{label}"))
    return root.numbers(marked, [label], -1, 1, missing=(NO_VALUE,))


def _labelled(root: DatabaseRoot, faces: pl.DataFrame) -> pl.DataFrame:
    """The faces that have an expression, or valence and arousal; the others become failures, and a misplaced -2 is a defect."""
    _check_no_value(root, faces)
    no_va = pl.col("valence").is_null() | pl.col("arousal").is_null()
    no_face = pl.col("code").eq_missing(pl.lit(NO_FACE))
    uncertain = pl.col("code").eq_missing(pl.lit(UNCERTAIN)) & no_va
    unlabelled = pl.col("code").is_null() & no_va
    root.fail(faces.filter(no_face), "no face")
    root.fail(faces.filter(uncertain), "uncertain expression, no valence-arousal")
    root.fail(faces.filter(unlabelled), ABSENT)
    return faces.filter(~(no_face | uncertain | unlabelled))


def _check_no_value(root: DatabaseRoot, faces: pl.DataFrame) -> None:
    """Records a defect for -2 in only one of valence and arousal, or in both with a class that must have them."""
    both = pl.col("no_valence") & pl.col("no_arousal")
    half = (pl.col("no_valence") & pl.col("arousal").is_not_null()) | (
        pl.col("no_arousal") & pl.col("valence").is_not_null()
    )
    root.refuse(faces, half, "-2 for only one of valence and arousal", "-2 for both or for neither")
    must_have = pl.col("expression").is_not_null() | (pl.col("code") == "8")
    found = "valence and arousal -2 with expression {code}"
    root.refuse(faces, both & must_have, found, "-2 only with the expressions 9 and 10")


def _with_sides(root: DatabaseRoot, faces: pl.DataFrame) -> pl.DataFrame:
    """The faces with the sides of their boxes as numbers, null where no face was detected."""
    detected = faces.with_columns(
        pl.when(pl.col(CORNER).str.strip_chars() == "NULL")
        .then(pl.lit(str(NO_BOX)))
        .otherwise(pl.col(CORNER))
        .name.keep()
    )
    faces = root.numbers(detected, CORNER, 0, FARTHEST_PIXEL, missing=(NO_BOX,))
    return root.numbers(faces, SIZE, 1, FARTHEST_PIXEL, missing=(NO_BOX,))


def _with_boxes(root: DatabaseRoot, faces: pl.DataFrame) -> pl.DataFrame:
    """The faces with `face_box`, null where no face was detected."""
    x, y, width, height = (pl.col(column).cast(pl.Float32) for column in (*CORNER, *SIZE))
    known = pl.all_horizontal(pl.col(*CORNER, *SIZE).is_not_null())
    faces = faces.with_columns(face_box=pl.when(known).then(pl.concat_arr(x, y, x + width, y + height)))
    if without := faces["face_box"].null_count():
        root.note(f"{without:,} of {len(faces):,} labelled lines have no face box")
    return faces
