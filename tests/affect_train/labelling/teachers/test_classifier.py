"""Image classifiers of transformers as teachers, from a local folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transformers import ViTConfig, ViTForImageClassification

from affect_train.labelling.teachers import TeacherError, open_teacher

PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.5, 0.25, 0.2],
    "rescale_factor": 1 / 255,
    "size": {"height": 16, "width": 16},
}


@pytest.fixture
def classifier(tmp_path: Path) -> Any:
    def write(names: list[str], processor: dict[str, Any] | None = None, **options: Any) -> Path:
        import json

        torch.manual_seed(0)
        config = ViTConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            patch_size=8,
            image_size=16,
            id2label=dict(enumerate(names)),
            label2id={name: i for i, name in enumerate(names)},
            **options,
        )
        folder = tmp_path / "classifier"
        ViTForImageClassification(config).save_pretrained(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **(processor or {})}))
        return folder

    return write


def pixels() -> torch.Tensor:
    return torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_its_own_class_names_decide(classifier: Any) -> None:
    folder = classifier(["Sad", "angry", "neutral"])
    teacher = open_teacher(folder)
    assert teacher.tasks.expressions == ("sadness", "anger", "neutral")
    assert (teacher.name, teacher.preprocessing.image_size) == ("classifier", 16)
    mean, std = (torch.tensor(PROCESSOR[key]).reshape(1, 3, 1, 1) for key in ("image_mean", "image_std"))
    with torch.no_grad():
        found = teacher.logits(pixels())["expression"]
        model = ViTForImageClassification.from_pretrained(folder).eval()
        expected = model((pixels() / 255 - mean) / std).logits
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_names_that_say_nothing_are_refused_and_can_be_given(classifier: Any, tmp_path: Path) -> None:
    folder = classifier(["LABEL_0", "LABEL_1", "LABEL_2"])
    with pytest.raises(
        TeacherError, match=r"no expression or action unit is called 'LABEL_0', 'LABEL_1', 'LABEL_2'.*`classes`"
    ):
        open_teacher(folder)
    path = tmp_path / "named.yaml"
    path.write_text(
        yaml.safe_dump({"format": "transformers", "file": "classifier", "classes": ["fear", None, "happy"]})
    )
    named = open_teacher(path)
    assert (named.name, named.tasks.expressions) == ("named", ("fear", "happiness"))
    with torch.no_grad():
        assert named.logits(pixels())["expression"].shape == (4, 2)
    path.write_text(yaml.safe_dump({"format": "transformers", "file": "classifier", "classes": ["fear", "happy"]}))
    with pytest.raises(TeacherError, match=r"`classes` names 2, the model has 3: LABEL_0, LABEL_1, LABEL_2"):
        open_teacher(path)


def test_action_units_come_from_a_multi_label_classifier(classifier: Any) -> None:
    names = ["AU12", "au01", "AU 4"]
    teacher = open_teacher(classifier(names, problem_type="multi_label_classification"))
    assert teacher.tasks.action_units == (12, 1, 4)
    with torch.no_grad():
        assert teacher.logits(pixels())["au"].shape == (4, 3)
    with pytest.raises(TeacherError, match="its action units exclude one another"):
        open_teacher(classifier(names))


def test_a_multi_label_classifier_of_expressions_is_refused(classifier: Any) -> None:
    with pytest.raises(TeacherError, match="its expressions exclude nothing"):
        open_teacher(classifier(["fear", "anger"], problem_type="multi_label_classification"))


def test_a_size_that_is_no_square_is_refused(classifier: Any) -> None:
    with pytest.raises(TeacherError, match="its input size is"):
        open_teacher(classifier(["fear", "anger"], {"size": {"height": 16, "width": 24}}))


def test_a_folder_without_its_image_processor_is_refused(classifier: Any) -> None:
    folder = classifier(["fear", "anger"])
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(TeacherError, match=r"cannot load an image classifier and its image processor"):
        open_teacher(folder)


def test_other_weights_and_other_names_are_another_revision(classifier: Any, tmp_path: Path) -> None:
    first = open_teacher(classifier(["fear", "anger"])).revision
    assert first == open_teacher(classifier(["fear", "anger"])).revision
    assert first != open_teacher(classifier(["anger", "fear"])).revision
