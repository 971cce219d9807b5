"""The generators of the databases' official layouts: one module a database, beside this one and of the database's name."""

import importlib
from pathlib import Path
from typing import Protocol, cast

from affect_data.databases.registry import DATABASES
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles
from affect_data.errors import UnknownNameError


class Generator(Protocol):
    """What the module of a generator holds."""

    @property
    def STYLE(self) -> Style:  # noqa: N802 - a constant of the module
        """What sets the pictures of the database apart."""

    def write(self, root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
        """What was written under `root`: about `faces` faces in the official layout, with its quirks."""


def generator_of(name: str) -> Generator:
    """The generator of a database.

    Raises:
        UnknownNameError: no database has this name.
    """
    if name not in DATABASES:
        raise UnknownNameError("demo database", name, DATABASES)
    return cast(Generator, importlib.import_module(f"affect_data.demo.{name}"))
