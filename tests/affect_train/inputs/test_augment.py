import numpy as np
import pytest
import torch

from affect_train.inputs.augment import (
    TOLERANCE,
    Augmentation,
    augmentation_key,
    erased_rectangles,
    noise,
    starts_of_noise,
    uniform_draws,
)

KEYS = [augmentation_key(0, 0, 0, f"uid{number}") for number in range(64)]


def images(count: int = 64, size: int = 16) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(40, 200, (count, 3, size, size), dtype=np.uint8))


EVERYTHING = Augmentation(
    flip=True, rotation_degrees=15, scale=0.1, shift=0.1, brightness=0.2, contrast=0.2, noise=0.05, grey=0.2, erase=0.5
)


def test_the_default_changes_nothing() -> None:
    assert Augmentation()(images(), KEYS) is not None
    assert torch.equal(Augmentation()(images(), KEYS), images())


def test_an_image_is_augmented_alike_in_any_batch() -> None:
    whole = EVERYTHING(images(), KEYS)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(EVERYTHING(images()[order], [KEYS[i] for i in order]), whole[order])
    assert torch.equal(EVERYTHING(images()[5:8], KEYS[5:8]), whole[5:8])


def test_no_global_generator_is_drawn_from_or_matters() -> None:
    before = torch.random.get_rng_state()
    first = EVERYTHING(images(), KEYS)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002 - to show that it does not matter
    assert torch.equal(EVERYTHING(images(), KEYS), first)


@pytest.mark.parametrize("other", [(1, 0, 0, "a"), (0, 1, 0, "a"), (0, 0, 1, "a"), (0, 0, 0, "b")])
def test_seed_epoch_occurrence_and_uid_each_change_the_draws(other: tuple[int, int, int, str]) -> None:
    draws = uniform_draws([augmentation_key(0, 0, 0, "a"), augmentation_key(*other)])
    assert not np.isclose(draws[0], draws[1]).any()


def test_draws_are_uniform() -> None:
    draws = uniform_draws([str(number) for number in range(4000)])
    assert draws.min() >= 0
    assert draws.max() < 1
    # the mean of 4,000 uniform numbers has standard deviation 0.0046, their variance is 1/12
    assert np.abs(draws.mean(0) - 0.5).max() < 0.02
    assert np.abs(draws.var(0) - 1 / 12).max() < 0.005


def test_flip_mirrors_about_half_of_the_images_and_leaves_the_others() -> None:
    flipped = Augmentation(flip=True)(images(), KEYS)
    mirrored = (flipped == images().flip(-1)).flatten(1).all(1)
    same = (flipped == images()).flatten(1).all(1)
    assert bool((mirrored ^ same).all())
    assert 20 <= int(mirrored.sum()) <= 44


def test_flip_mirrors_the_same_images_with_a_rotation_of_nothing() -> None:
    alone = Augmentation(flip=True)(images(), KEYS)
    moved = Augmentation(flip=True, rotation_degrees=1e-6)(images(), KEYS)
    assert int((alone.int() - moved.int()).abs().max()) <= 1


def test_rotation_turns_by_the_drawn_angle() -> None:
    pixels = torch.zeros(1, 3, 65, 65, dtype=torch.uint8)
    pixels[..., 32 - 2 : 32 + 3, 60 - 2 : 60 + 3] = 255
    drawn = uniform_draws(["k"])[0, 1]
    turned = Augmentation(rotation_degrees=90)(pixels, ["k"])[0, 0].double()
    rows, columns = torch.meshgrid(torch.arange(65.0), torch.arange(65.0), indexing="ij")
    y, x = float((rows * turned).sum() / turned.sum()) - 32, float((columns * turned).sum() / turned.sum()) - 32
    angle = np.degrees(np.arctan2(-y, x))
    assert abs(abs(angle) - abs(90 * (2 * drawn - 1))) < 1.0
    assert np.hypot(x, y) == pytest.approx(28, abs=0.5)


def test_brightness_multiplies_by_the_drawn_factor() -> None:
    factor = 1 + 0.3 * (2 * uniform_draws(KEYS)[:, 7] - 1)
    plain = torch.full((64, 3, 4, 4), 100, dtype=torch.uint8)
    brightened = Augmentation(brightness=0.3)(plain, KEYS)
    assert np.abs(brightened[:, 0, 0, 0].numpy() - 100 * factor).max() <= 0.51


def test_contrast_keeps_the_mean_and_scales_the_deviation() -> None:
    gain = 1 + 0.3 * (2 * uniform_draws(KEYS)[:, 6] - 1)
    contrasted = Augmentation(contrast=0.3)(images(), KEYS).float()
    means, deviations = contrasted.mean((1, 2, 3)), contrasted.std((1, 2, 3))
    assert torch.allclose(means, images().float().mean((1, 2, 3)), atol=0.2)
    expected = images().float().std((1, 2, 3)).numpy() * gain
    assert np.abs(deviations.numpy() / expected - 1).max() < 0.01


def test_grey_takes_the_colour_from_the_drawn_share() -> None:
    greyed = Augmentation(grey=0.4)(images(), KEYS)
    without_colour = (greyed[:, 0] == greyed[:, 1]).flatten(1).all(1) & (greyed[:, 1] == greyed[:, 2]).flatten(1).all(1)
    assert np.array_equal(without_colour.numpy(), uniform_draws(KEYS)[:, 5] < 0.4)
    assert torch.equal(greyed[~without_colour], images()[~without_colour])


def test_noise_is_standard_normal_and_differs_between_images() -> None:
    assert starts_of_noise(3072) == 1345
    drawn = noise(torch.tensor([134.0, 134.0, 1344.0]), (3, 32, 32))
    assert torch.equal(drawn[0], drawn[1])
    assert abs(float((drawn[0] * drawn[2]).mean())) < 0.1
    assert abs(float(drawn.mean())) < 0.05
    assert abs(float(drawn.std()) - 1) < 0.05


def test_noise_has_the_drawn_deviation() -> None:
    plain = torch.full((64, 3, 32, 32), 128, dtype=torch.uint8)
    noisy = Augmentation(noise=0.1)(plain, KEYS).float()
    expected = 255 * 0.1 * uniform_draws(KEYS)[:, 8]
    # rounding adds a variance of 1/12
    assert np.abs(noisy.std((1, 2, 3)).numpy() - np.sqrt(expected**2 + 1 / 12)).max() < 1.0


def test_an_empty_batch_stays_empty() -> None:
    assert EVERYTHING(images(0), []).shape == (0, 3, 16, 16)


@pytest.mark.parametrize("size", [20, 15])
@pytest.mark.parametrize(
    "augmentation", [EVERYTHING, Augmentation(flip=True, shift=0.1), Augmentation(scale=0.2, rotation_degrees=40)]
)
def test_changes_agree_with_arithmetic_in_double_precision_to_the_stated_tolerance(
    augmentation: Augmentation, size: int
) -> None:
    pixels = images(24, 20)
    shown, drawn = augmentation.shown(pixels, KEYS[:24], size, later=True)
    assert drawn is not None
    assert torch.equal(shown, pixels)
    found, expected = (
        drawn.applied(shown).numpy().astype(int),
        [by_hand(*one, size) for one in zip(pixels, drawn.values, strict=True)],
    )
    difference = np.abs(found - np.stack(expected))
    # a sum next to a half is rounded either way
    assert difference.max() <= TOLERANCE
    assert (difference > 0).mean() < 0.01


def test_of_larger_images_the_middle_is_shown_and_what_lies_around_it_comes_into_view() -> None:
    pixels = images(8, 24)
    still, _ = Augmentation(rotation_degrees=1e-6).shown(pixels, KEYS[:8], 16, later=False)
    assert torch.equal(still, pixels[:, :, 4:20, 4:20])
    bright_around = torch.full((64, 3, 24, 24), 255, dtype=torch.uint8)
    bright_around[:, :, 4:20, 4:20] = 0
    turned, _ = Augmentation(rotation_degrees=20).shown(bright_around, KEYS, 16, later=False)
    drawn = np.abs(2 * uniform_draws(KEYS)[:, 1] - 1)
    assert bool((turned[:, 0, 0, 0] > 200)[torch.from_numpy(drawn > 0.5)].all())
    assert int(turned[:, :, 4:12, 4:12].max()) == 0


def by_hand(pixels: torch.Tensor, values: torch.Tensor, shown: int) -> np.ndarray:
    """One image changed pixel by pixel, in double precision."""
    _, xx, xy, yx, yy, x, y, grey, lift, factor, deviation, start, *sides = values.double().tolist()
    source, size = pixels.double().numpy(), pixels.shape[-1]
    places = (2 * np.arange(shown) + 1) / shown - 1
    across, down = np.meshgrid(places, places)
    columns = np.clip(((xx * across + xy * down + x + 1) * size - 1) / 2, 0, size - 1)
    rows = np.clip(((yx * across + yy * down + y + 1) * size - 1) / 2, 0, size - 1)
    left, top = np.minimum(columns.astype(int), size - 2), np.minimum(rows.astype(int), size - 2)
    right, low = columns - left, rows - top
    image = (source[:, top, left] * (1 - right) + source[:, top, left + 1] * right) * (1 - low)
    image += (source[:, top + 1, left] * (1 - right) + source[:, top + 1, left + 1] * right) * low
    if grey:
        image = np.broadcast_to(np.tensordot([0.299, 0.587, 0.114], image, 1), image.shape)
    image = image * factor + image.mean() * lift
    image += deviation * noise(torch.tensor([start]), image.shape)[0].double().numpy()
    first_row, end_of_rows, first_column, end_of_columns = map(int, sides)
    image[:, first_row:end_of_rows, first_column:end_of_columns] = 128
    return np.clip(np.rint(image), 0, 255)


def test_erasing_makes_one_rectangle_grey_in_the_share_of_the_images_and_leaves_all_else() -> None:
    plain = torch.full((64, 3, 100, 100), 40, dtype=torch.uint8)
    erased = Augmentation(erase=0.5)(plain, KEYS)
    inside = erased == 128
    assert bool((erased[~inside] == 40).all())
    assert 20 <= int(inside.flatten(1).any(1).sum()) <= 44
    for image in inside[inside.flatten(1).any(1)]:
        assert bool((image[0] == image).all())
        rows, columns = torch.where(image[0])
        height, width = (int(ends.max() - ends.min()) + 1 for ends in (rows, columns))
        assert len(rows) == height * width
        # Whole pixels, and sides that are cut at the border, move the limits a little.
        assert 0.015 <= height * width / 100**2 <= 0.34
        assert height == 100 or width == 100 or 0.28 <= height / width <= 3.5


def test_the_erased_area_and_place_are_those_of_the_draws() -> None:
    # Area .02 + .31 * 1 = .33 as a square of 57 of 100 pixels; from (100 - 57 + 1) / 2 and a quarter of it.
    draws = np.array([[0.0, 1.0, 0.5, 0.5, 0.25]])
    assert [side.item() for side in erased_rectangles(draws, 1.0, 100)] == [22, 79, 11, 68]
    assert [side.item() for side in erased_rectangles(draws, 0.0, 100)] == [0, 0, 0, 0]
