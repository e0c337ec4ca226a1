"""How the rate falls, and when training ends."""

import math
from dataclasses import dataclass, replace

FINAL_RATE = 0.1  # of the first
PATIENCE = 2  # epochs without a new low before the end: one alone is often noise of the high rate


@dataclass(frozen=True)
class Schedule:
    """The rate falls linearly from its first value to a tenth of it at the end.

    The end is `fixed`, or chosen as training goes; `ends` are the steps at which each epoch ends.
    It is chosen by the validation NLL: two epochs without a new low are followed by a last one, in
    which the rate falls from where it is to the final value. An NLL above `ceiling`, in nats, ends
    training as diverged.
    """

    ends: tuple[int, ...]
    fixed: bool = True
    lowest: float = math.inf
    waited: int = 0
    falls_from: tuple[int, float] = (0, 1.0)
    ceiling: float = math.inf

    @property
    def steps(self) -> int:
        """How many there are, at most."""
        return self.ends[-1] if self.ends else 0

    def rate_share(self, step: int) -> float:
        """The rate of step 0 … steps − 1, as a share of the first."""
        first, highest = self.falls_from
        return highest - (highest - FINAL_RATE) * (step - first) / (self.steps - first)

    def is_exact(self, step: int, exact_every: int) -> bool:
        """Whether exact losses are due at the end of an epoch.

        They are at the last, every `exact_every` epochs, and always while the end is being chosen.
        """
        epoch = self.ends.index(step) + 1
        return (
            step == self.steps or not self.fixed or (exact_every > 0 and epoch % exact_every == 0)
        )

    def with_validation(self, step: int, validation_nll: float) -> "Schedule":
        """The schedule when the NLL of the validation part is known after `step`."""
        if self.fixed:
            return self
        if validation_nll < self.lowest:
            return replace(self, lowest=validation_nll, waited=0)
        if self.waited + 1 < PATIENCE:
            return replace(self, waited=self.waited + 1)
        one_more = (
            tuple(end for end in self.ends if end <= step)
            + tuple(end for end in self.ends if end > step)[:1]
        )
        return replace(
            self,
            ends=one_more,
            fixed=True,
            falls_from=(step, self.rate_share(step) if step < self.steps else FINAL_RATE),
        )
