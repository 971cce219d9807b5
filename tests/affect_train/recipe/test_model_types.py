import subprocess
import sys

import pytest
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from affect_train.recipe.model_types import _keys_of_table, known_model_types


def test_the_kinds_of_networks_are_those_that_transformers_makes() -> None:
    assert known_model_types() == frozenset(MODEL_MAPPING_NAMES)


@pytest.mark.parametrize("source", ["", "\nMODEL_MAPPING_NAMES = OrderedDict(\n    pairs()\n)\n"])
def test_another_form_of_the_table_is_not_guessed_at(source: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any way of not being the table
        _keys_of_table(source)


def test_validate_imports_neither_torch_nor_transformers() -> None:
    program = (
        "import sys; from affect_train.cli.app import app; "
        "app(['validate', 'recipes/demo/teacher.yaml'], standalone_mode=False); "
        "sys.exit(', '.join(name for name in ('torch', 'transformers', 'accelerate', 'datasets') if name in sys.modules) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "backbone" in ended.stdout
