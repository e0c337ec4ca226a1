"""Each displayed formula in plain loops over floats: no tensor operation."""

import math
from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]


def scores_of(inputs: Matrix, outputs: Matrix, bias: Sequence[float]) -> list[list[float]]:
    """b_w + u_w·x_c"""
    return [
        [
            b + sum(ui * xi for ui, xi in zip(u, x, strict=True))
            for u, b in zip(outputs, bias, strict=True)
        ]
        for x in inputs
    ]


def log_softmax(scores: Sequence[float]) -> list[float]:
    """z_w − log Σ exp z_i"""
    lse = math.log(math.fsum(math.exp(z) for z in scores))
    return [z - lse for z in scores]


def count_nll(inputs: Matrix, outputs: Matrix, bias: Sequence[float], counts: Matrix) -> float:
    """Σ_cw n_cw (log Σ_k exp(b_k + u_k·x_c) − b_w − u_w·x_c) / Σ_cw n_cw"""
    rows = zip(scores_of(inputs, outputs, bias), counts, strict=True)
    loss = math.fsum(
        -n * log_p
        for scores, row in rows
        for n, log_p in zip(row, log_softmax(scores), strict=True)
    )
    return loss / math.fsum(map(math.fsum, counts))


def entropy_floor(counts: Matrix) -> float:
    """Σ_c N_c H(n(c, ·) / N_c) / N"""
    terms = [-n * math.log(n / math.fsum(row)) for row in counts for n in row if n > 0]
    return math.fsum(terms) / math.fsum(map(math.fsum, counts))


def excess(inputs: Matrix, outputs: Matrix, bias: Sequence[float], counts: Matrix) -> float:
    """Σ_c N_c Σ_w (q log(q/p) − q + p) / N, q = n / N_c"""
    total = 0.0
    for scores, row in zip(scores_of(inputs, outputs, bias), counts, strict=True):
        size = math.fsum(row)
        for n, log_p in zip(row, log_softmax(scores), strict=True):
            q, p = n / size, math.exp(log_p)
            total += size * ((q * math.log(q / p) if q else 0.0) - q + p)
    return total / math.fsum(map(math.fsum, counts))


def window_counts(documents: Sequence[Sequence[int]], size: int, window: int) -> list[list[int]]:
    """k(c, w) = Σ (window + 1 − distance)"""
    counts = [[0] * size for _ in range(size)]
    for document in documents:
        for i, context in enumerate(document):
            for j, word in enumerate(document):
                if 0 < abs(i - j) <= window:
                    counts[context][word] += window + 1 - abs(i - j)
    return counts


def keep(counts: Sequence[int], sample: float) -> list[float]:
    """s_w = min(1, √(t/f_w) + t/f_w)"""
    return [
        min(1.0, math.sqrt(sample * sum(counts) / n) + sample * sum(counts) / n) for n in counts
    ]


def positive_pmi(counts: Matrix) -> list[list[float]]:
    """max(0, log n_cw N / (N_c N_w))"""
    rows, columns = (
        [sum(row) for row in counts],
        [sum(column) for column in zip(*counts, strict=True)],
    )
    return [
        [
            max(0.0, math.log(n * sum(rows) / (r * c))) if n else 0.0
            for n, c in zip(row, columns, strict=True)
        ]
        for row, r in zip(counts, rows, strict=True)
    ]


def adam(gradients: Sequence[float], beta1: float, beta2: float, epsilon: float) -> float:
    """The direction after the last gradient: m̂ / (√v̂ + ε)."""
    mean = square = 0.0
    for gradient in gradients:
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
    steps = len(gradients)
    return mean / (1 - beta1**steps) / (math.sqrt(square / (1 - beta2**steps)) + epsilon)


def ngrams(word: str, least: int, most: int) -> set[str]:
    """All stretches of <word> that are `least` to `most` characters long."""
    marked = "<" + word + ">"
    return {
        marked[start:stop]
        for start in range(len(marked))
        for stop in range(start + 1, len(marked) + 1)
        if least <= stop - start <= most
    }


def penalty(
    vectors: Matrix, means: Matrix, metric: Matrix, weights: Sequence[float], strength: float
) -> float:
    """κ/2 Σ_i ω_i (v_i − m_i)ᵀ F (v_i − m_i)"""
    total = 0.0
    for vector, mean, weight in zip(vectors, means, weights, strict=True):
        offset = [v - m for v, m in zip(vector, mean, strict=True)]
        total += weight * math.fsum(
            a * metric[i][j] * b for i, a in enumerate(offset) for j, b in enumerate(offset)
        )
    return strength / 2 * total


def weighted_nll(
    inputs: Matrix, outputs: Matrix, bias: Sequence[float], counts: Matrix, weights: Sequence[float]
) -> float:
    """Σ_c ω_c N_c NLL_c"""
    rows = zip(scores_of(inputs, outputs, bias), counts, weights, strict=True)
    return math.fsum(
        -weight * n * log_p
        for scores, row, weight in rows
        for n, log_p in zip(row, log_softmax(scores), strict=True)
    )


def windows_of_contexts(
    text: Sequence[tuple[int, int]], shape: tuple[int, int], window: int
) -> list[list[int]]:
    """k(c, w) of tokens, each given as (row of c or −1, word or −1).

    For each c the kept words alone are counted outwards from it.
    """
    counts = [[0] * shape[1] for _ in range(shape[0])]
    for place, (row, _) in enumerate(text):
        if row >= 0:
            for side in (text[:place][::-1], text[place + 1 :]):
                for distance, word in enumerate(
                    [word for _, word in side if word >= 0][:window], start=1
                ):
                    counts[row][word] += window + 1 - distance
    return counts
