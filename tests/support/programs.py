"""Programs of recipes/ that are folders and no packages, loaded for tests."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest


@contextmanager
def loaded_program(folder: Path, modules: Sequence[str]) -> Iterator[SimpleNamespace]:
    """The modules of a program by name, and its ``__main__`` as `main`; they are forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        found = {name: importlib.import_module(name) for name in modules}
        specification = importlib.util.spec_from_file_location(f"{folder.name}_main", folder / "__main__.py")
        assert specification is not None
        assert specification.loader is not None
        main = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(main)
        yield SimpleNamespace(**found, main=main)
    for name in modules:
        del sys.modules[name]
