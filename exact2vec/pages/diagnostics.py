"""What report and explorer show of a run, as numbers.

These are losses word by word, frequency bands, calibration, and a plane of the vectors.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.counts import Counts
from exact2vec.errors import UsageError
from exact2vec.loss.background import Background
from exact2vec.loss.count_losses import WeightedCounts
from exact2vec.vectors.evaluate import cell_nll
from exact2vec.vectors.vectors import Vectors

Numbers = NDArray[np.float64]
CALIBRATION_ROWS = 400
CALIBRATION_CELLS = 1 << 18  # looked at together
CALIBRATION_EDGES = np.arange(-8.0, 0.5, 0.5)


@dataclass(frozen=True)
class WordLosses:
    """The losses of each word over the weighted pairs of one part, nats a pair.

    `row_*` are of the word as a context, `column_*` of the word as what is predicted; nan where it
    has no pairs. `row_pairs` are the N_c, `column_pairs` the N_w. Both means, Σ N_c·row_nll / N and
    Σ N_w·column_nll / N, are the NLL of the part.
    """

    row_nll: Numbers
    row_unigram: Numbers
    row_floor: Numbers
    row_pairs: Numbers
    column_nll: Numbers
    column_unigram: Numbers
    column_pairs: Numbers


def word_losses(
    vectors: Vectors, counts: Counts, part: csr_array, *, threads: int | None = None
) -> WordLosses:
    """−log p(w | c), summed over the counted cells of `part` by row and by column.

    One stretch of rows is computed at a time. Of the cells only what is beyond a background is
    added to what that loses in all columns.
    """
    size, unigram = len(vectors), -np.log(vectors.unigram)
    rows_of, columns_of = np.zeros((4, size)), np.zeros((2, size))
    background = counts.background_of(part)
    if background is not None:
        rows_of, columns_of = background_losses(vectors, background, unigram, threads)
    for stretch in stretches(part):
        weighted = counts.weigh(stretch)
        pairs = weighted.data.astype(np.float64)
        rows = np.repeat(np.arange(size), np.diff(stretch.indptr))
        floor = -pairs * np.log(pairs / np.bincount(rows, pairs, size)[rows])
        if background is not None:
            pairs -= background.amounts[rows] * background.shares[stretch.indices]
        loss = pairs * cell_nll(vectors, stretch, threads).data
        for number, values in enumerate((pairs, loss, pairs * unigram[stretch.indices], floor)):
            rows_of[number] += np.bincount(rows, values, size)
        for number, values in enumerate((pairs, loss)):
            columns_of[number] += np.bincount(stretch.indices, values, size)
    if background is not None:
        rows_of[3] = WeightedCounts(counts.weigh(part), background).row_entropies()
    with np.errstate(invalid="ignore"):
        row_nll, row_unigram, row_floor = rows_of[1:] / rows_of[0]
        column_nll = columns_of[1] / columns_of[0]
    return WordLosses(
        row_nll,
        row_unigram,
        row_floor,
        rows_of[0],
        column_nll,
        np.where(columns_of[0] > 0, unigram, np.nan),
        columns_of[0],
    )


def background_losses(
    vectors: Vectors, background: Background, unigram: Numbers, threads: int | None
) -> tuple[Numbers, Numbers]:
    """Pairs, losses and unigram's losses of a background, by row; pairs and losses by column.

        Σ_w a_c p_w (lse_c − z_cw) = a_c (lse_c − x_c·ū − b̄)
        Σ_c a_c p_w (lse_c − z_cw) = p_w (Σ_c a_c lse_c − u_w·Σ_c a_c x_c − b_w Σ_c a_c)

    A fourth line of the rows is 0.
    """
    amounts, shares, size = background.amounts, background.shares, len(vectors)
    inputs, outputs = (side.astype(np.float64) for side in (vectors.inputs, vectors.outputs))
    first = csr_array((np.ones(size), np.zeros(size, np.int32), np.arange(size + 1)), (size, size))
    sums = cell_nll(vectors, first, threads).data + inputs @ outputs[0] + vectors.bias[0]
    means = inputs @ (shares @ outputs) + shares @ vectors.bias
    by_row = [amounts, amounts * (sums - means), amounts * (shares @ unigram), np.zeros(size)]
    pulls = outputs @ (amounts @ inputs) + background.total * vectors.bias
    by_column = [shares * background.total, shares * (amounts @ sums - pulls)]
    return np.array(by_row), np.array(by_column)


def stretches(counts: csr_array, cells: int = 2_000_000) -> Iterator[csr_array]:
    """Matrices of the same shape with stretches of the rows, about `cells` cells each.

    So what is computed of each stays small.
    """
    start = 0
    while start < counts.shape[0]:
        stop = max(
            start + 1,
            int(np.searchsorted(counts.indptr, counts.indptr[start] + cells, side="right")) - 1,
        )
        first, last = counts.indptr[start], counts.indptr[min(stop, counts.shape[0])]
        if last > first:
            yield csr_array(
                (
                    counts.data[first:last],
                    counts.indices[first:last],
                    np.clip(counts.indptr, first, last) - first,
                ),
                shape=counts.shape,
            )
        start = stop


@dataclass(frozen=True)
class Band:
    """The words counted `least` to `most` times; their number."""

    least: int
    most: int
    words: int

    @property
    def label(self) -> str:
        return f"{self.least:,}" if self.least == self.most else f"{self.least:,}–{self.most:,}"


def frequency_bands(
    word_counts: NDArray[np.int64] | NDArray[np.float64],
) -> tuple[list[Band], NDArray[np.int64]]:
    """Bands between 1, 3, 10, 30, 100, …, and the place of each word's band.

    Bands without words are left out.

    >>> bands, place = frequency_bands(np.array([450, 40, 31, 2]))
    >>> [band.label for band in bands], place.tolist()
    (['2', '31–40', '450'], [2, 1, 1, 0])
    """
    edges = [factor * 10**power for power in range(19) for factor in (1, 3)]
    step = np.searchsorted(edges, word_counts, side="right")
    used, place = np.unique(step, return_inverse=True)
    members = [word_counts[place == number] for number in range(len(used))]
    return [Band(int(counts.min()), int(counts.max()), len(counts)) for counts in members], place


def band_means(
    nll: Numbers, pairs: Numbers, place: NDArray[np.int64], bands: int
) -> list[float | None]:
    """Σ pairs·nll / Σ pairs of each band, nats a pair; None where it has no pairs."""
    total = np.bincount(place, pairs, bands)
    sums = np.bincount(place, np.where(pairs > 0, pairs * nll, 0.0), bands)
    return [
        float(loss / weight) if weight > 0 else None
        for loss, weight in zip(sums, total, strict=True)
    ]


@dataclass(frozen=True)
class Calibration:
    """Cells (c, w) in bins of the predicted p, from `rows` contexts.

    A bin has the mean predicted p, the mean counted share n/N_c, the share of all pairs that it
    holds, and the number of its cells.
    """

    predicted: list[float]
    counted: list[float]
    pairs: list[float]
    cells: list[int]
    rows: int

    @classmethod
    def of_sums(cls, sums: NDArray[np.float64], draws: float, rows: int) -> "Calibration":
        """Of the sums of predicted p, of what was counted, and of the cells in each bin."""
        predicted, counted, cells = sums[:, sums[2] > 0]
        return cls(
            (predicted / cells).tolist(),
            (counted / cells).tolist(),
            (counted / draws).tolist(),
            cells.astype(int).tolist(),
            rows,
        )


def calibration(
    vectors: Vectors,
    weighted: csr_array,
    background: Background | None = None,
    *,
    rows: int = CALIBRATION_ROWS,
    seed: int = 1,
) -> Calibration:
    """Predicted against counted probability, over all words of some contexts.

    `rows` contexts are drawn with probability N_c / N, with replacement. A bin is half a decade.
    Every draw weighs the same, so that a bin's means are those over the pairs (Hansen and Hurwitz
    1943).
    """
    totals = WeightedCounts(weighted, background).totals.numpy()
    draws = np.random.default_rng([seed, rows]).choice(len(totals), rows, p=totals / totals.sum())
    bins = len(CALIBRATION_EDGES) + 1
    sums = np.zeros((3, bins))
    step = max(1, CALIBRATION_CELLS // weighted.shape[1])
    for some in (draws[start : start + step] for start in range(0, rows, step)):
        log_p = vectors.log_softmax(vectors.inputs[some])
        place = np.digitize(log_p / math.log(10), CALIBRATION_EDGES).ravel()
        counted = weighted[some].toarray().astype(np.float64)
        if background is not None:
            cut = background.amounts[some, None] * background.shares
            counted = np.where(counted == 0, cut, counted)
        counted /= totals[some, None]
        sums[0] += np.bincount(place, np.exp(log_p).ravel(), bins)
        sums[1] += np.bincount(place, counted.ravel(), bins)
        sums[2] += np.bincount(place, minlength=bins)
    return Calibration.of_sums(sums, rows, rows)


@dataclass(frozen=True)
class Plane:
    """Two coordinates a word, and the method that made them.

    `faithful` is the share of the variance they hold, None where distances mean little.
    """

    points: Numbers
    method: str
    faithful: float | None


def principal_plane(vectors: NDArray[np.float32]) -> Plane:
    """The two principal components of the rows.

    Each axis points to where its largest loading is positive.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred)
    first = axes[:, ::-1][:, :2]
    first = first * np.sign(first[np.abs(first).argmax(axis=0), np.arange(first.shape[1])])
    points = np.zeros((len(vectors), 2))
    points[:, : first.shape[1]] = centred @ first
    total = float(values.sum())
    return Plane(points, "PCA", float(values[::-1][:2].sum() / total) if total > 0 else 1.0)


def umap_plane(vectors: NDArray[np.float32], *, seed: int = 1) -> Plane:
    """UMAP of the rows by cosine; needs the extra `umap`.

    Source: McInnes, Healy and Melville 2018.
    """
    try:
        import umap
    except ImportError as error:
        raise UsageError(
            "--map umap needs the package umap-learn: pip install 'exact2vec[umap]'; "
            "without it there is --map pca"
        ) from error
    if len(vectors) < 5:
        raise UsageError(f"--map umap needs at least 5 vectors; there are {len(vectors)}")
    neighbours = min(15, len(vectors) - 1)
    found = umap.UMAP(
        n_neighbors=neighbours,
        metric="cosine",
        random_state=seed,
        n_jobs=1,
        init="random" if len(vectors) < 20 else "spectral",
    )
    return Plane(np.asarray(found.fit_transform(vectors), np.float64), "UMAP", None)


MAPS = {"pca": principal_plane, "umap": umap_plane}


def wilson_interval(right: float, n: int, *, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share of `n`. Source: Wilson 1927.

    >>> [round(end, 3) for end in wilson_interval(0.4, 100)]
    [0.309, 0.498]
    """
    centre, width = (
        right + z * z / (2 * n),
        z * math.sqrt(right * (1 - right) / n + z * z / (4 * n * n)),
    )
    return (centre - width) / (1 + z * z / n), (centre + width) / (1 + z * z / n)


def rank_interval(rho: float | None, n: int, *, z: float = 1.959964) -> tuple[float, float] | None:
    """The 95 % interval of Spearman's ρ over `n` pairs, None below 4 pairs.

        tanh(artanh ρ ± z·√((1 + ρ²/2) / (n − 3)))

    Source: Bonett and Wright 2000.

    >>> [round(end, 3) for end in rank_interval(0.6, 100)]
    [0.444, 0.721]
    """
    if rho is None or n < 4 or abs(rho) >= 1:
        return None
    width = z * math.sqrt((1 + rho * rho / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - width), math.tanh(math.atanh(rho) + width)


def nearest(
    vectors: Vectors, words: Sequence[int], topn: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each of `words` the `topn` nearest others by their embedding, and the cosines."""
    rows = np.asarray(words)
    neighbours = vectors.spaces.neighbours("embedding")
    return neighbours.nearest(neighbours.rows[rows], topn, rows)
