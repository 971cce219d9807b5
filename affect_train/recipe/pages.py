"""Writes the reference of training recipes into ``docs/training-recipe.md``.

Run ``python -m affect_train.recipe.pages`` in the repository's root.
"""

from pathlib import Path
from typing import Any, Final

from affect_data.recipe_reference import keys_of, recipe_schema, table_of
from affect_train.recipe.methods.options import MethodOptions
from affect_train.recipe.methods.registry import registered
from affect_train.recipe.recipe import Recipe

PAGE: Final = Path("docs/training-recipe.md")

HEAD: Final = """\
# Training recipes, key by key

What a run trains on, what, and how, for `affect-train train` and `validate`. This page is generated from the code (`make docs`);
`affect-train schema` prints the same as JSON Schema. `KEY=VALUE` on the command line sets any key, such as `optimizer.learning_rate=1e-4`.

    dataset: merged
    output: runs/teacher
    tasks: {action_units: [1, 2, 4, 6, 12, 15, 20, 25], expression: aff_wild2_7, valence_arousal: {bins: 20}}
    model: {backbone: facebook/dinov2-small, image_size: 112}
    method: {name: supervised}
    batches: {size: 64}
"""

SECTIONS: Final = ("dataset", "tasks", "model", "batches", "augmentation", "crop", "optimizer", "schedule", "training")


def training_recipe_page() -> str:
    """The page ``docs/training-recipe.md``, as Markdown."""
    names = {key.name for key in keys_of(Recipe)}
    parts = [HEAD]
    for section in SECTIONS:
        others = {name for name in names if name.partition(".")[0] != section}
        parts += [f"## {section}", table_of(Recipe, leave_out=others)]
    alone = {name for name in names if name.partition(".")[0] in (*SECTIONS, "method")}
    parts += ["## Others", table_of(Recipe, leave_out=alone), "## method", table_of(MethodOptions, "method.")]
    common = {key.name for key in keys_of(MethodOptions)}
    for options in registered():
        own = [key for key in keys_of(options) if key.name not in common]
        if own:
            name = options.model_fields["name"].default
            parts += [f"### {name}", table_of(options, "method.", leave_out=common)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def training_recipe_schema() -> dict[str, Any]:
    """The JSON Schema of a training recipe, with the options of each method that is installed."""
    schema = recipe_schema(Recipe, "affectkit training recipe")
    shared = schema.setdefault("$defs", {})
    choices = []
    for options in registered():
        found = options.model_json_schema()
        shared |= found.pop("$defs", {})
        choices.append(found)
    schema["properties"]["method"] = {"anyOf": choices}
    return schema


if __name__ == "__main__":
    PAGE.write_text(training_recipe_page(), encoding="utf-8")
