"""Which images are held out: of each class its share, and the same ones on every call."""

import numpy as np

# Not the trial's seed: every trial of a sweep is judged on the same images.
SEED = 20_160_101


def held_out(labels: np.ndarray, n: int) -> np.ndarray:
    """Gives a bool per label, true for `n` of them, of each class in proportion to its count.

    Args:
        labels: integers, (images,).
        n: how many to hold out, 0 to the number of labels.
    """
    by_class = _shuffled_by_class(labels)
    _, counts = np.unique(labels, return_counts=True)
    first_of_class = np.repeat(np.cumsum(counts) - counts, counts)
    rank_in_class = np.arange(len(labels)) - first_of_class
    chosen = by_class[rank_in_class < np.repeat(shares(counts, n), counts)]
    mask = np.zeros(len(labels), bool)
    mask[chosen] = True
    return mask


def shares(counts: np.ndarray, n: int) -> np.ndarray:
    """Gives how many of `n` fall to each class, by largest remainder; ties go to the first.

    In whole numbers, so exact: https://en.wikipedia.org/wiki/Largest_remainder_method
    """
    taken, remainders = np.divmod(counts * n, counts.sum())
    largest_first = np.argsort(-remainders, kind="stable")
    taken[largest_first[: n - taken.sum()]] += 1
    return taken


def fixed_order(n: int) -> np.ndarray:
    """Gives 0 to n - 1 shuffled, the same way for ever.

    `RandomState`, for its stream is frozen; that of `default_rng` may change with a NumPy release:
    https://numpy.org/neps/nep-0019-rng-policy.html
    """
    return np.random.RandomState(SEED).permutation(n)


def _shuffled_by_class(labels: np.ndarray) -> np.ndarray:
    order = fixed_order(len(labels))
    return order[np.argsort(labels[order], kind="stable")]
