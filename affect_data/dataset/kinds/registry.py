"""All kinds of column groups besides labels and pictures; a new one is added here."""

from typing import Any, Final

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.balance import BALANCE
from affect_data.dataset.kinds.base import GroupKind
from affect_data.dataset.kinds.crops import CROPS
from affect_data.dataset.kinds.declared import DECLARED, OWN_SCORE
from affect_data.dataset.kinds.faces import FACES, SECOND_FACES
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.kinds.folds import FOLDS
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS

KINDS: Final[tuple[GroupKind[Any], ...]] = (
    SOFT_LABELS,
    FEATURES,
    CROPS,
    BALANCE,
    FOLDS,
    SECOND_FACES,
    FACES,
    DECLARED,
)


def stale_groups(folder: DatasetFolder) -> dict[str, str]:
    """For each stale column group, alphabetical, the command that makes it again."""
    stale = {
        kind.group(name): kind.remedy(name, folder)
        for kind in KINDS
        for name in kind.names(folder)
        if kind.is_stale(folder, name)
    }
    return dict(sorted(stale.items()))


def describe_kinds() -> str:
    """The part of ``docs/schema.md`` on column groups, as Markdown."""
    lines = [
        "",
        "## Column groups",
        "",
        "Beside `labels` and `images`, which the build writes. A group is refused where what it was made from has changed since.",
        "",
        "| what | group | made from | written by |",
        "|---|---|---|---|",
    ]
    for kind in KINDS:
        group = (
            f"`{kind.prefix}<name>`"
            if kind.prefix
            else f"`{kind.pattern.replace('|', '`, `').replace(OWN_SCORE, 'score_<name>')}`"
        )
        command = kind.command.format_map({"name": "NAME", "plan": "PLAN", "detector": "DETECTOR"})
        lines.append(f"| {kind.called} | {group} | {', '.join(sorted(kind.depends_on))} | `{command}` |")
    return "\n".join(lines) + "\n"
