"""Worked examples on a page: fenced blocks that begin with the path of the file that they make (``python``) or change (``diff``)."""

import re

BLOCK = re.compile(r"^```(python|diff)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(page: str) -> list[tuple[str, str, str]]:
    """Kind, path and text of each block."""
    return BLOCK.findall(page)


def without_examples(page: str) -> str:
    """The page without the blocks: what they name exists only where a test has written them."""
    return BLOCK.sub("", page)
