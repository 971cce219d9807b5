"""What one database says beside the labels, such as a pain score, as a column group: one number a row."""

import re
from typing import Final

from affect_data.databases.registry import DATABASES, scores_of
from affect_data.dataset.kinds.base import Dependency, GroupKind, GroupProvenance

SCORES: Final = GroupKind[GroupProvenance](
    called="scores",
    prefix="",
    depends_on={Dependency.ANNOTATION_FILES},
    provenance=None,
    command="affect-data build RECIPE DATASET",
    pattern="|".join(map(re.escape, scores_of(DATABASES))),
)
