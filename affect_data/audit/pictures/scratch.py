"""Arrays with a row for each picture that lie in a file without a name, because memory does not hold those of a large dataset."""

import tempfile
import weakref
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Number_co = TypeVar("Number_co", bound=np.generic, covariant=True)
Number = TypeVar("Number", bound=np.generic)


class Rows(Protocol[Number_co]):
    """What an array of rows and a `ScratchArray` have in common."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | npt.NDArray[np.integer]) -> npt.NDArray[Number_co]: ...


class ScratchArray(Generic[Number]):
    """An array in a file of the system's folder for temporary files (``TMPDIR``); the file is gone with the array.

    Args:
        count: of rows.
        row: shape of a row.
        dtype: of the values.
    """

    def __init__(self, count: int, row: Sequence[int], dtype: type[Number]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the array is in use
        weakref.finalize(self, self._file.close)
        self._shape = (count, *row)
        self._dtype = np.dtype(dtype)
        self._file.truncate(int(np.prod(self._shape)) * self._dtype.itemsize)

    def __len__(self) -> int:
        return self._shape[0]

    def __setitem__(self, rows: slice, values: npt.NDArray[Number]) -> None:
        if len(values):
            self._mapped("r+")[rows] = values

    def __getitem__(self, rows: slice | npt.NDArray[np.integer]) -> npt.NDArray[Number]:
        """A copy of some rows."""
        if not len(self):
            return np.empty(self._shape, self._dtype)
        # The map ends with this call, so that the pages that were read do not count as memory of this process.
        return np.array(self._mapped("r")[rows])

    def _mapped(self, mode: str) -> "np.memmap[tuple[int, ...], np.dtype[Number]]":
        return np.memmap(self._file, self._dtype, mode, 0, self._shape)  # type: ignore[call-overload, no-any-return]
