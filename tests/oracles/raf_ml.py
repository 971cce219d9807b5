"""RAF-ML, read slowly: a picture and the shares of six expressions in a line; more than half of the votes make a class."""

from pathlib import Path

ORDER = ["surprise", "fear", "disgust", "happiness", "sadness", "anger"]


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a face whose picture is there."""
    found = []
    text = (root / "EmoLabel/distribution.txt").read_text(encoding="utf-8-sig")
    for number, line in enumerate(text.splitlines(), start=1):
        name, *shares = line.split()
        image = f"Image/aligned/{name[:4]}_aligned.jpg"
        if not (root / image).is_file():
            continue
        votes = {word: float(share) for word, share in zip(ORDER, shares, strict=True)}
        row: dict[str, object] = {f"votes_{word}": share / sum(votes.values()) for word, share in votes.items()}
        row |= {"image": image, "source_file": "EmoLabel/distribution.txt", "source_line": number}
        first = max(votes, key=lambda word: votes[word])
        if round(2 * votes[first] * 10**6) > round(sum(votes.values()) * 10**6):
            row["expression"] = first
        found.append(row)
    return found
