"""What databases declare in addition to the labels, such as people or a pain score, as column groups."""

import re
from typing import Final

from affect_data.databases.registry import DATABASES
from affect_data.dataset.kinds.base import Dependency, GroupKind, GroupProvenance
from affect_data.dataset.side.groups import SIDE_GROUPS, declared_columns

_NAMES: Final = dict.fromkeys(
    [*(group.name for group in SIDE_GROUPS if group.name), *(one.group for one in declared_columns(DATABASES.values()))]
)

OWN_SCORE: Final = "score_[a-z][a-z0-9_]*"
"""The name of a group with a score of own data, which no reader declares."""

DECLARED: Final = GroupKind[GroupProvenance](
    called="side groups",
    prefix="",
    depends_on={Dependency.ANNOTATION_FILES},
    provenance=None,
    command="affect-data build RECIPE DATASET",
    pattern="|".join([*map(re.escape, _NAMES), OWN_SCORE]),
)
