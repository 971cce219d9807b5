"""Databases at addresses as folders of this machine: readers list folders and open files many times, which a store would answer one by one."""

import hashlib
import os
from pathlib import Path
from typing import Final

from affect_data.build.databases import Progress
from affect_data.errors import UsageError
from affect_data.stores.addresses import is_address
from affect_data.stores.fetch import fetch

MIRROR: Final = "AFFECT_MIRROR"
"""Variable that names the folder of the copies."""


def mirrored(argument: str, progress: Progress = lambda *_: None) -> str:
    """An argument ``name=ADDRESS`` as ``name=FOLDER`` of a copy that is made or brought up to date; any other argument as it is.

    Raises:
        UsageError: no folder for copies is named, or nothing opens the address.
        StoreError: the store refuses.
    """
    name, _, address = argument.partition("=")
    if not is_address(address):
        return argument
    folder = os.environ.get(MIRROR)
    if not folder:
        raise UsageError(
            f"--root {argument}: databases are read from folders; name one for copies by {MIRROR}=FOLDER, in which {address} then takes as much "
            f"space as there, or copy it yourself: `affect-data copy {address} FOLDER`"
        )
    # Two addresses of one database are two copies.
    copy = Path(folder).expanduser() / f"{name}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
    fetch(address, copy, progress=progress)
    return f"{name}={copy}"
