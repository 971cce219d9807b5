"""The databases that affectkit reads, by name. A new one takes its module, a generator in `affect_data.demo`, and a line here.

Installed packages may bring more: `affect_data.databases.installed`.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from pydantic import ValidationError

from affect_data.databases.afew import Afew
from affect_data.databases.afew_va import AfewVa
from affect_data.databases.affectnet.reader import AffectNet
from affect_data.databases.affwild import AffWild
from affect_data.databases.affwild2.reader import AffWild2
from affect_data.databases.base import Database, DatabaseOptions
from affect_data.databases.bp4d.reader import Bp4d
from affect_data.databases.bp4d_plus import Bp4dPlus
from affect_data.databases.casme2 import Casme2
from affect_data.databases.ck_plus.reader import CkPlus
from affect_data.databases.dfew import Dfew
from affect_data.databases.disfa.reader import Disfa
from affect_data.databases.disfa_plus import DisfaPlus
from affect_data.databases.emotionet.reader import EmotioNet
from affect_data.databases.expw import ExpW
from affect_data.databases.ferplus.reader import FerPlus
from affect_data.databases.ferv39k import Ferv39k
from affect_data.databases.installed import installed_readers
from affect_data.databases.mafw import Mafw
from affect_data.databases.omg import Omg
from affect_data.databases.oulu_casia import OuluCasia
from affect_data.databases.raf_au import RafAu
from affect_data.databases.raf_ce import RafCe
from affect_data.databases.raf_db.reader import RafDb
from affect_data.databases.raf_ml import RafMl
from affect_data.databases.samm import Samm
from affect_data.databases.sewa import Sewa
from affect_data.databases.sfew import Sfew
from affect_data.databases.table.options import TableOptions
from affect_data.databases.table.reader import TABLE, own_database
from affect_data.databases.unbc.reader import Unbc
from affect_data.databases.unread import UNREAD
from affect_data.databases.veatic import Veatic
from affect_data.errors import UnknownNameError, UsageError

DATABASES: dict[str, type[Database]] = {
    "affwild2": AffWild2,
    "affectnet": AffectNet,
    "disfa": Disfa,
    "disfa_plus": DisfaPlus,
    "expw": ExpW,
    "afew_va": AfewVa,
    "affwild": AffWild,
    "omg": Omg,
    "sewa": Sewa,
    "veatic": Veatic,
    "ferplus": FerPlus,
    "emotionet": EmotioNet,
    "bp4d": Bp4d,
    "bp4d_plus": Bp4dPlus,
    "raf_db": RafDb,
    "raf_au": RafAu,
    "raf_ml": RafMl,
    "raf_ce": RafCe,
    "ck_plus": CkPlus,
    "unbc": Unbc,
    "casme2": Casme2,
    "samm": Samm,
    "dfew": Dfew,
    "ferv39k": Ferv39k,
    "mafw": Mafw,
    "sfew": Sfew,
    "afew": Afew,
    "oulu_casia": OuluCasia,
}


BUILT_IN: Final = tuple(DATABASES)
"""The names of the readers that are part of affectkit; the others are of installed packages."""

_installed, UNUSABLE = installed_readers(DATABASES)
DATABASES |= _installed

OWN_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""What an entry of own data may be called: its name begins uids, and is a folder of the dataset."""


def reader_of(name: str, options: DatabaseOptions) -> type[Database]:
    """The reader class of an entry of a recipe: that of the registry, or one that says what the recipe says of own data."""
    return own_database(name, options) if isinstance(options, TableOptions) else DATABASES[name]


def readers_of(recipe: Mapping[str, Any]) -> dict[str, type[Database]]:
    """The reader class of each database of a recipe that this version of affectkit knows, by name.

    Args:
        recipe: as a lock holds it.
    """
    found: dict[str, type[Database]] = {}
    for name, options in (recipe.get("databases") or {}).items():
        if isinstance(options, Mapping) and options.get("reader") == TABLE:
            with suppress(ValidationError):
                found[name] = own_database(name, TableOptions.model_validate_json(json.dumps(options)))
        elif name in DATABASES:
            found[name] = DATABASES[name]
    return found


def plain(name: str) -> str:
    """A name in one spelling: lower case, only letters and digits, ``plus`` for ``+``."""
    return "".join(sign for sign in name.lower().replace("+", "plus") if sign.isalnum())


def canonical(name: str) -> str | None:
    """The key of the database with a name or alias, in any spelling; None if there is none."""
    if name in DATABASES:
        return name
    for key, database in DATABASES.items():
        if plain(name) in map(plain, (key, database.title, *database.aliases)):
            return key
    return None


def canonical_release(database: str, name: str) -> str | None:
    """The release of a database with a name or alias, in any spelling; None if there is none."""
    reader = DATABASES[database]
    names = {release: release for release in reader.releases} | dict(reader.release_aliases)
    return names.get(name) or next((release for known, release in names.items() if plain(known) == plain(name)), None)


def database_named(name: str) -> type[Database]:
    """The reader class that is registered under `name`.

    Raises:
        UsageError: an installed package has such a reader, which cannot be used; or it is known why the database has none.
        UnknownNameError: there is no such database.
    """
    if name in UNUSABLE and name not in DATABASES:
        raise UsageError(f"{name}: {UNUSABLE[name]}")
    if name not in DATABASES:
        for unread in UNREAD:
            if plain(name) == plain(unread.title):
                raise UsageError(f"{unread.title} is not read yet; not known: {unread.unknown}")
        raise UnknownNameError("database", name, DATABASES)
    return DATABASES[name]
