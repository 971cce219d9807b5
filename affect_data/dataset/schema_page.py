"""The page ``docs/schema.md``: columns, what is stored of them, side groups, rules and column groups, from the code that decides them."""

from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from affect_data.databases.base import Database
from affect_data.dataset.kinds.registry import describe_kinds
from affect_data.dataset.layout import COMPOUND, ORIGIN_COLUMNS, VOTES, Layout, group_of
from affect_data.dataset.schema import COLUMNS, RULES, SCHEMA_VERSION, Rule
from affect_data.dataset.side.groups import SIDE_GROUPS, VALUES, SideColumn, declared_columns
from affect_data.vocabulary import ACTION_UNIT_NAMES, ACTION_UNITS, EXPRESSIONS, unit_name


class _DeclaresAll(Database):
    """A database that declares whatever one can, for the page; scores are named by their databases."""

    name = "all"
    action_units = ACTION_UNITS
    action_unit_intensities = ACTION_UNITS
    people = MappingProxyType({"age": (), **dict.fromkeys(("age_band", "sex", "ethnicity"), ("<word>",))})
    action_unit_sides = ACTION_UNITS
    native_expressions = ("<word>",)
    rater_labels = ("expression", "va", "au")
    has_timestamps = True
    scores = MappingProxyType({"<score>": "a number"})


_SIDE: Final = declared_columns([_DeclaresAll])  # type: ignore[type-abstract]
_LAYOUT: Final = Layout(
    databases=("all",),
    action_units=ACTION_UNITS,
    intensities=ACTION_UNITS,
    boxes="whole",
    side=(VOTES, COMPOUND),
    clips=True,
    declared=_SIDE,
)
_EXACT: Final = _LAYOUT.model_copy(update={"whole_intensities": False, "boxes": "exact"})


def schema_page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([*_columns(), *_action_units(), *_side_groups(), *_rules()]) + "\n" + describe_kinds()


def side_entries() -> list[dict[str, Any]]:
    """The columns of side groups as plain values: name, type as stored, group, missing, values."""
    return [
        {
            "name": column.name,
            "type": _stored(column.name, column.group),
            "group": column.group,
            "missing": _missing(column),
            "values": _values(column),
        }
        for column in _SIDE
    ]


def _columns() -> list[str]:
    lines = [
        "# The schema",
        "",
        "One row is one face in one image, frame or clip. This page is generated from the code (`make docs`).",
        "",
        f"Schema version {SCHEMA_VERSION}.",
        "",
        "## Columns",
        "",
        "`DatasetFolder.labels` gives columns of these types, whatever is stored. *Stored* is the Arrow type in the files of the group, where a",
        "dataset has the column; [format.md](format.md) says when it has. Texts that rows share stand once, in `origins/<database>/`.",
        "",
        "| column | type | stored | group | missing | values |",
        "|---|---|---|---|---|---|",
    ]
    for column in COLUMNS:
        missing = "never" if column.missing is None else f"`{column.missing}`" if column.missing != "" else '`""`'
        group = group_of(column.name)
        stored = "by `origin`, int32" if column.name in ORIGIN_COLUMNS else f"`{_stored(column.name, group)}`"
        lines.append(f"| `{column.name}` | `{column.type}` | {stored} | {group} | {missing} | {column.values} |")
    return lines


def _stored(name: str, group: str) -> str:
    kinds = [_type(layout.features(group).arrow_schema.field(name).type) for layout in (_LAYOUT, _EXACT)]
    return kinds[0] if kinds[0] == kinds[1] else " or ".join(kinds)


def _type(kind: pa.DataType) -> str:
    """An Arrow type; of a struct with a field for each action unit or expression, one field for all."""
    if pa.types.is_list(kind):
        return f"list<{_type(kind.value_type)}>"
    if not pa.types.is_struct(kind):
        return str(kind)
    names, first = [field.name for field in kind], _type(kind.field(0).type)
    for fields, what in (
        (tuple(map(unit_name, ACTION_UNITS)), unit_name(0)[:-1] + "<n>"),
        (EXPRESSIONS, "<expression>"),
    ):
        if names == list(fields):
            return f"struct<{what}: {first}>"
    return "struct<" + ", ".join(f"{field.name}: {_type(field.type)}" for field in kind) + ">"


def _action_units() -> list[str]:
    lines = [
        "",
        "## Action units",
        "",
        "A field of a stored struct is called `AU<n>`; in the types above, slot i is the i-th of these. `affect_data.action_unit(row, 12)` finds one",
        "in a row of either form, and says whether it is present, how strong it is, and on which side.",
        "",
        "| slot | field | FACS name |",
        "|---|---|---|",
    ]
    lines += [
        f"| {slot} | `{unit_name(unit)}` | {name} |" for slot, (unit, name) in enumerate(ACTION_UNIT_NAMES.items())
    ]
    return lines


def _side_groups() -> list[str]:
    lines = [
        "",
        "## Side groups",
        "",
        "What some databases say beside the labels. A dataset has such a group, and in it such a column, only where a merged database declares it.",
        "The words of classes are the databases' own and stand in the features. `DatasetFolder.labels(split, side=[...])` gives the columns beside",
        'the labels, classes as words (`""` for none); `load_dataset(path, split, side=[...])` gives them as they are stored. A mask is called',
        "`<column>_mask`.",
        "",
        "| group | column | stored | missing | mask | values | declared by |",
        "|---|---|---|---|---|---|---|",
    ]
    for column in _SIDE:
        mask = "yes" if len(column.features()) > 1 else "no"
        lines.append(
            f"| `{column.group}` | `{column.name}` | `{_stored(column.name, column.group)}` | {_missing(column)} | {mask} | {_values(column)} "
            f"| `{_declared_by(column)}` |"
        )
    return lines


def _missing(column: SideColumn) -> str:
    return {"class": "`-1`", "sides": "`-1`", "number": "`nan`", "raters": "`[]`; in an entry `-1`, `nan`"}[column.kind]


def _values(column: SideColumn) -> str:
    return VALUES.get(column.name, "a number that the database gives, such as a pain score")


def _declared_by(column: SideColumn) -> str:
    return next(group.attribute for group in SIDE_GROUPS if group.name in (column.group, ""))


def _rules() -> list[str]:
    every: list[Rule] = [*RULES, *(column.rule() for column in _SIDE)]
    return [
        "",
        "## Rules",
        "",
        "Every row of every build is checked against these rules; a row that breaks one stops the build.",
        "",
        "| rule | what holds |",
        "|---|---|",
        *(f"| `{rule.name}` | {rule.description} |" for rule in every),
    ]
