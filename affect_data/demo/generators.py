"""The generators of the databases' official layouts: a module for each database, in this package and with the database's name."""

import importlib
from pathlib import Path
from typing import Protocol, cast

from affect_data.databases.registry import BUILT_IN
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles
from affect_data.errors import UnknownNameError


class Generator(Protocol):
    """The content of a generator's module."""

    @property
    def STYLE(self) -> Style:  # noqa: N802 - a constant of the module
        """What sets the pictures of the database apart."""

    def write(self, root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
        """The files written under `root`, with about `faces` faces in the official layout and its quirks, and their truth."""


def generator_of(name: str) -> Generator:
    """The generator of a database.

    Raises:
        UnknownNameError: no database has this name.
    """
    if name not in BUILT_IN:
        raise UnknownNameError("demo database", name, BUILT_IN)
    return cast(Generator, importlib.import_module(f"affect_data.demo.{name}"))
