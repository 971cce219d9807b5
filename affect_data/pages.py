"""Parts of a page that are written from the code, between two marks that stay where a person has put them."""


def with_part(page: str, name: str, part: str) -> str:
    """The page with a part between the lines ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: the page lacks these lines.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, begun, rest = page.partition(f"{begin}\n")
    _, ended, after = rest.partition(f"{end}\n")
    if not begun or not ended:
        raise ValueError(f"the page has no lines '{begin}' and '{end}'")
    return f"{before}{begin}\n\n{part}\n\n{end}\n{after}"
