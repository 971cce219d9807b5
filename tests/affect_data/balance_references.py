"""References for the balancing plans: the same rules, one row at a time, written from their descriptions."""

import math
from collections import Counter

import numpy as np


def ratios(labels):
    """IRLbl of a 0/1 matrix, by its definition."""
    positives = [int(column.sum()) for column in labels.T]
    return [max(positives) / count if count else math.inf for count in positives]


def published_picks(labels, target, percentage, sample, seed):
    """Deng et al.: grow the whole label matrix by 32 clones at a time and measure it again after each draw."""
    np.random.seed(seed)  # noqa: NPY002
    budget = len(labels) / 100 * percentage
    first = ratios(labels)
    grown, picks = labels, []
    for label in range(labels.shape[1]):
        if first[label] <= target:
            continue
        bag = [row for row, x in enumerate(labels[:, label]) if x]
        while True:
            drawn = np.random.choice(bag, sample).tolist()  # noqa: NPY002
            bag += drawn
            picks += drawn
            grown = np.vstack([grown, labels[drawn]])
            if len(picks) >= budget:
                return picks
            if ratios(grown)[label] <= target:
                break
    return picks


def charte_picks(labels, percentage, seed):
    """Charte et al., algorithm 3, clone by clone."""
    counts = [int(n) for n in labels.sum(axis=0)]
    known = [max(counts) / n for n in counts if n]
    mean_ir = sum(known) / len(known)
    budget = int(len(labels) / 100 * percentage)
    uniform = np.random.default_rng(seed).random(budget + labels.shape[1])
    bags = {
        label: [row for row, x in enumerate(labels[:, label]) if x] for label in range(len(counts)) if counts[label]
    }
    minority = [label for label in bags if max(counts) / counts[label] > mean_ir]
    picks = []
    while len(picks) < budget and minority:
        for label in tuple(minority):
            row = bags[label][int(uniform[len(picks)] * len(bags[label]))]
            picks.append(row)
            for other in range(len(counts)):
                counts[other] += int(labels[row, other])
            if max(counts) / counts[label] <= mean_ir:
                minority.remove(label)
    return picks


def thinned_rows(classes, keep_every):
    """Positions that remain after thinning class by class."""
    left = list(range(len(classes)))
    for code, every in keep_every.items():
        left = [row for place, row in enumerate(left) if classes[row] != code or place % every == 0]
    return left


def class_weights(classes):
    """One over the count of the class."""
    counts = Counter(classes)
    return [1.0 / counts[code] for code in classes]


def plane_cells(valence, arousal, low=(None, None), high=(None, None)):
    """The bin of each point, found edge by edge."""
    cells = []
    axes = []
    for values, least, most in zip((valence, arousal), low, high, strict=True):
        least = min(values) if least is None else least
        most = max(values) if most is None else most
        axes.append(np.linspace(least, most, 21).tolist())
    for point in zip(valence, arousal, strict=True):
        cell = []
        for value, edges in zip(point, axes, strict=True):
            place = 0
            while place < 19 and value >= edges[place + 1]:
                place += 1
            cell.append(place)
        cells.append(tuple(cell))
    return cells


def plane_weights(valence, arousal):
    """One over the count of the bin."""
    return class_weights(plane_cells(valence, arousal))


def joint_weights(classes, valence, arousal):
    """Vu et al.: one over the bin plus one over the class, divided by the largest."""
    sums = [a + b for a, b in zip(class_weights(classes), plane_weights(valence, arousal), strict=True)]
    most = max(sums)
    return [value / most for value in sums]


def temperature_weights(databases, temperature):
    """Database shares in proportion to a power of their size, spread over their rows."""
    counts = Counter(databases)
    return [counts[name] ** temperature / counts[name] for name in databases]


def row_scumble(labels):
    """SCUMBLE of each row by its formula: geometric over arithmetic mean of IRLbl."""
    imbalance = ratios(labels)
    values = []
    for row in labels:
        own = [imbalance[label] for label in range(len(imbalance)) if row[label]]
        values.append(1 - math.prod(own) ** (1 / len(own)) / (sum(own) / len(own)) if own else 0.0)
    return values
