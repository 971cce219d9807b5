"""A picture of the demo world: every expression on several people, with its name."""

from typing import Final

from PIL import Image, ImageDraw

from affect_data.demo.sampler import DEMO_EXPRESSIONS, FaceSampler

MARGIN: Final = 84
INK: Final = (40, 40, 40)


def contact_sheet(seed: int = 0, people: int = 8, size: int = 80) -> Image.Image:
    """Faces in a grid with a row for each expression and a column for each person; RGB.

    Args:
        seed: decides every face.
        people: columns.
        size: side of a face, in pixels.
    """
    sampler = FaceSampler(seed)
    subjects = sampler.subjects(people)
    sheet = Image.new("RGB", (MARGIN + people * size, len(DEMO_EXPRESSIONS) * size), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for row, expression in enumerate(DEMO_EXPRESSIONS):
        draw.text((6, row * size + size // 2), expression, fill=INK, anchor="lm", font_size=14)
        for column, subject in enumerate(subjects):
            sheet.paste(sampler.photograph(subject, expression).draw(size), (MARGIN + column * size, row * size))
    return sheet
