"""The rows of a split as they are read, file by file."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from affect_data.errors import DataError
from affect_data.faces.detection import Pixels
from affect_data.pictures import PictureError
from affect_train.inputs.foreign.own_columns import label_dataset, mapped_rows
from affect_train.inputs.foreign.pictures import ForeignFaces, Picture, Pictures
from affect_train.inputs.foreign.reading import OpenedSource, SourceError, explained
from affect_train.inputs.labels import LabelArrays
from affect_train.inputs.loading import Decoders
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.stored import Boxes
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from datasets import Dataset, Features, IterableDataset

READ_ROWS = 256
"""How many rows are read at a time."""

ROWS_OF_A_FILE = 2**32
"""The number of a streamed row is this times the number of its file, plus its place in the file."""


class StreamedRow(NamedTuple):
    """One row of a stream.

    Attributes:
        number: identifies the row within the split, in whatever order rows come.
        uid: unique name.
        box: x0, y0, x1, y1 in pixels of the picture; NaN if there is none.
        picture: the bytes, or the path of the file.
        labels: of all rows that were read together with this one.
        place: of this row among them.
    """

    number: int
    uid: str
    box: Sequence[float]
    picture: Picture
    labels: LabelArrays
    place: int


class RowTable(NamedTuple):
    """Rows that were read together.

    Attributes:
        labels: the columns `mapping.MADE`, as `own_columns.mapped_rows` gives them.
        pictures: of the rows.
        first: number of the first row.
    """

    labels: pa.Table
    pictures: Pictures
    first: int


class RowStream:
    """A split that is read from beginning to end, as often as needed.

    Args:
        opened: the dataset.
        split: name of the split.

    Raises:
        UnknownNameError: there is no such split.
        SourceError: the split cannot be read, or has no row.
        RecipeError: the columns do not fit the dataset.
    """

    def __init__(self, opened: OpenedSource, split: str) -> None:
        self.name = opened.name
        self.split = split
        self._pictures = opened.files
        stream = opened.stream(split)
        self._mapping = mapped_rows(opened, self._features(stream))
        self._stream = stream.select_columns(list(dict.fromkeys([*self._mapping.read, self._mapping.image])))
        self.files = int(stream.num_shards)

    @property
    def place(self) -> str:
        """What the split is called in messages."""
        return f"'{self.name}', split {self.split}"

    @property
    def features(self) -> "Features":
        """The features of the columns `mapping.MADE`."""
        return self._mapping.features

    def _features(self, stream: "IterableDataset") -> "Features":
        from datasets import Features

        if stream.features is not None:
            return stream.features
        with explained(self.name):
            first = next(iter(stream.with_format("arrow").iter(1)), None)
        if first is None:
            raise SourceError(self.name, f"split {self.split} has no rows", "Name another split")
        return Features.from_arrow_schema(first.schema)

    def tables(self, file: int) -> Iterator[RowTable]:
        """The rows of one file, in order.

        Raises:
            SourceError: the file cannot be read.
            DataError: a value is no label.
        """
        parts = iter(self._stream.shard(self.files, file).with_format("arrow").iter(READ_ROWS))
        start = 0
        while True:
            with explained(self.name):
                table = next(parts, None)
            if table is None:
                return
            labels = self._mapping(table, partial(self._uid, file, start), partial(self._place_of, file, start))
            image = table[self._mapping.image]
            pictures = Pictures(image.combine_chunks() if image.num_chunks != 1 else image.chunk(0), self._pictures)
            yield RowTable(labels, pictures, file * ROWS_OF_A_FILE + start)
            start += len(table)

    def _uid(self, file: int, start: int, row: int) -> str:
        return f"{self.name}:{self.split}/{file}-{start + row}"

    def _place_of(self, file: int, start: int, row: int) -> str:
        return f"split {self.split}, file {file}, row {start + row}"

    def rows(self, table: RowTable, tasks: TaskSet) -> Iterator[StreamedRow]:
        """The rows of a table one by one; they can be kept without the table."""
        labels = LabelArrays.load(table.labels, tasks)
        uids = table.labels["uid"].to_pylist()
        box_column = (
            table.labels.column("face_box").combine_chunks() if "face_box" in table.labels.column_names else None
        )
        boxes = Boxes(box_column, len(uids))
        for place, uid in enumerate(uids):
            try:
                picture = table.pictures.stored(place)
            except DataError as error:
                raise self.error(uid, error) from error
            yield StreamedRow(table.first + place, uid, boxes[place], picture, labels, place)

    def dataset(self, labels: pa.Table) -> "Dataset":
        """A table of labels as a dataset."""
        return label_dataset(labels, self.features)

    def error(self, uid: str, because: object) -> DataError:
        """The error for a row whose picture cannot be used."""
        return DataError(f"dataset '{self.name}', split {self.split}, row '{uid}': {because}. {ForeignFaces.remedy}")

    def decode(
        self,
        rows: Sequence[StreamedRow],
        preprocessing: Preprocessing,
        decoders: Decoders,
        pixels: Pixels,
        *,
        skips: bool = False,
    ) -> dict[int, str]:
        """Why pictures were left out, by position; the faces of the rows are written to `pixels`.

        Args:
            rows: N rows.
            preprocessing: how a face becomes the model's input.
            decoders: threads that share the rows.
            pixels: uint8 [N, S, S, 3], written to.
            skips: whether pictures that cannot be decoded are left out; otherwise they are an error.

        Raises:
            DataError: a picture cannot be read or decoded.
        """
        undecoded: dict[int, str] = {}

        def decode(position: int) -> None:
            row = rows[position]
            try:
                preprocessing(self._pictures.read(row.picture), row.box, pixels[position])
            except PictureError as error:
                if not skips:
                    raise self.error(row.uid, error) from error
                undecoded[position] = str(error)
            except DataError as error:
                raise self.error(row.uid, error) from error

        decoders.run(decode, len(rows))
        return undecoded
