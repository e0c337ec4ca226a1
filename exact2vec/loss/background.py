"""A background of counts: what stands in every cell of a row, in proportion to one distribution."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


@dataclass(frozen=True)
class Background:
    """n(c, w) = amounts_c · shares_w in every cell that is not stored.

    `amounts` are α_c N_c, what a row would have if the background stood in all of its columns; the
    `shares` p_w sum to 1. `errors` are Σ_w |n(c, w) − amounts_c shares_w| over the cells for which
    it stands, so that what it can change in a loss is known.
    """

    amounts: NDArray[np.float64]
    shares: NDArray[np.float64]
    errors: NDArray[np.float64]

    @property
    def total(self) -> float:
        """Σ_c of the amounts."""
        return float(self.amounts.sum())

    def row_totals(self, cells: csr_array) -> NDArray[np.float64]:
        """What each row has of it, beside these stored cells."""
        return np.asarray(self.amounts * (1 - cells.astype(bool) @ self.shares))

    def column_totals(self, cells: csr_array) -> NDArray[np.float64]:
        """What each column has of it, beside these stored cells."""
        return np.asarray(self.shares * (self.total - cells.astype(bool).T @ self.amounts))
