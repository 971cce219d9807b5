"""Writes the reference of data recipes into ``docs/data-recipe.md``.

Run ``python -m affect_data.build.pages`` in the repository's root.
"""

from pathlib import Path
from typing import Any, Final

from affect_data.build.recipe import DataRecipe
from affect_data.databases.base import DatabaseOptions
from affect_data.databases.registry import BUILT_IN, DATABASES
from affect_data.databases.table.options import TableOptions
from affect_data.databases.table.reader import TABLE
from affect_data.recipe_reference import keys_of, recipe_schema, table_of

PAGE: Final = Path("docs/data-recipe.md")

HEAD: Final = """\
# Data recipes, key by key

Which databases to merge, and how, for `affect-data check` and `build`. This page is generated from the code (`make docs`);
`affect-data schema --recipe` prints the same as JSON Schema. A recipe names no folder of a machine: [installation.md](installation.md#the-commands).

    databases:
      affwild2: {release: abaw3}
      disfa:    {action_unit_threshold: 2}
      expw:     {holdout: 0.1}
    splits: {policy: strict}
    workers: 2
"""


def data_recipe_page() -> str:
    """The page ``docs/data-recipe.md``, as Markdown."""
    parts = [
        HEAD,
        "## The recipe",
        table_of(DataRecipe),
        "## Every database",
        table_of(DatabaseOptions, "databases.NAME."),
    ]
    common = {key.name for key in keys_of(DatabaseOptions)}
    for name, database in ((name, DATABASES[name]) for name in BUILT_IN):
        own = [key for key in keys_of(database.Options) if key.name not in common]
        if own:
            parts += [f"## {database.title}", table_of(database.Options, f"databases.{name}.", leave_out=common)]
    parts += [
        "## Own data",
        f"An entry of any name with `reader: {TABLE}` ([own-data.md](own-data.md)).",
        table_of(TableOptions, "databases.NAME.", leave_out=common),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def data_recipe_schema() -> dict[str, Any]:
    """The JSON Schema of a data recipe, with the options of each database."""
    schema = recipe_schema(DataRecipe, "affectkit data recipe")
    own = recipe_schema(TableOptions, "own data")
    shared = {**schema.pop("$defs", {}), **own.pop("$defs", {})}
    known = {}
    for name, database in DATABASES.items():
        options = database.Options.model_json_schema()
        shared |= options.pop("$defs", {})
        known[name] = options
    del own["$schema"]
    schema["properties"]["databases"] = {
        "type": "object",
        "properties": known,
        "additionalProperties": own,
        "minProperties": 1,
    }
    return {**schema, "$defs": shared}


if __name__ == "__main__":
    PAGE.write_text(data_recipe_page(), encoding="utf-8")
