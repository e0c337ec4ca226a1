"""NLLLoss, CrossEntropyLoss and LinearCrossEntropyLoss: torch's modules with exact2vec's losses, which say what they compute."""

from typing import Any

from torch import Tensor, nn

from exact2vec.errors import LossInputError
from exact2vec.loss import checks
from exact2vec.loss.dense import cross_entropy, nll_loss
from exact2vec.loss.linear import linear_cross_entropy
from exact2vec.loss.terms import Terms, loss_terms


class _Described:
    """What the three say of themselves."""

    weight: Tensor | None
    reduction: str
    formula: str
    expects: str

    def divisor(self) -> str:
        """What the sum of the rows' losses is divided by."""
        if self.reduction != "mean":
            return "1 (the sum)" if self.reduction == "sum" else "1 (one loss a row)"
        w = " w_y" if self.weight is not None else " 1"
        return f"Σ{w} over the kept targets"

    def describe(self) -> str:
        """Formula, expected input and divisor, in three lines."""
        return f"loss = {self.formula}, nats\ninput: {self.expects}\ndivisor: {self.divisor()}"

    def extra_repr(self) -> str:
        w = "" if self.weight is None else f", weight of {len(self.weight)} classes"
        return f"reduction={self.reduction!r}, divisor: {self.divisor()}{w}"


def _refuse_data(name: str, weight: Any, size_average: Any) -> None:
    if isinstance(size_average, Tensor) or (isinstance(weight, Tensor) and weight.dim() != 1):
        raise LossInputError(f"{name}(x, t) makes a module and takes no data: write {name}()(x, t)")
    if weight is not None:
        checks.tensor(weight, "weight")


class NLLLoss(_Described, nn.NLLLoss):
    """torch.nn.NLLLoss: nll_loss of log-probabilities.

    >>> print(NLLLoss().describe())
    loss = Σ −w_y log p_y / divisor, nats
    input: log-probabilities (N, C) or (N, C, d1, …), such as log_softmax gives; targets (N) or (N, d1, …), integers 0..C−1
    divisor: Σ 1 over the kept targets
    """

    formula = "Σ −w_y log p_y / divisor"
    expects = "log-probabilities (N, C) or (N, C, d1, …), such as log_softmax gives; targets (N) or (N, d1, …), integers 0..C−1"

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        _refuse_data("NLLLoss", weight, size_average)
        super().__init__(weight, size_average, ignore_index, reduce, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of log-probabilities."""
        return nll_loss(input, target, self.weight, None, self.ignore_index, None, self.reduction)


class CrossEntropyLoss(_Described, nn.CrossEntropyLoss):
    """torch.nn.CrossEntropyLoss, with count targets and `dim` beyond it.

    >>> CrossEntropyLoss()
    CrossEntropyLoss(reduction='mean', divisor: Σ 1 over the kept targets)
    """

    formula = "Σ_i t_i (log Σ_k exp z_k − z_i) / divisor"
    expects = "scores (N, C) or (N, C, d1, …); targets: integers (N) or (N, d1, …), probabilities as the scores (divisor: N), or counts= (divisor: Σ w n)"

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        dim: int | None = None,
    ) -> None:
        _refuse_data("CrossEntropyLoss", weight, size_average)
        super().__init__(weight, size_average, ignore_index, reduce, reduction, label_smoothing)
        self.dim = dim

    def forward(
        self, input: Tensor, target: Tensor | None = None, *, counts: Tensor | None = None
    ) -> Tensor:
        """The loss of scores."""
        return cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
            counts=counts,
            dim=self.dim,
        )

    def terms(
        self, input: Tensor, target: Tensor | None = None, *, counts: Tensor | None = None
    ) -> Terms:
        """Log-sum-exp, entropy of the targets and excess over it, row by row (scores (N, C))."""
        return loss_terms(
            input,
            target,
            counts=counts,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


class LinearCrossEntropyLoss(_Described, nn.LinearCrossEntropyLoss):
    """torch.nn.LinearCrossEntropyLoss: a linear layer and its loss, the scores of `rows` rows in memory at a time.

    >>> LinearCrossEntropyLoss(5, 10)
    LinearCrossEntropyLoss(
      in_features=5, num_classes=10, bias=False, reduction='mean', divisor: Σ 1 over the kept targets
      (linear): Linear(in_features=5, out_features=10, bias=False)
    )
    """

    formula = "Σ_i t_i (log Σ_k exp z_k − z_i) / divisor, z = x·uᵀ + b"
    expects = "x (N, in_features); targets: integers (N), probabilities (N, C) (divisor: N), or counts= (N, C) (divisor: Σ w n)"

    def __init__(
        self, in_features: int, num_classes: int, *, rows: int | None = None, **settings: Any
    ) -> None:
        if "weight" in settings and settings["weight"] is not None:
            checks.tensor(settings["weight"], "weight")
        try:
            super().__init__(in_features, num_classes, **settings)
        except RuntimeError as error:
            raise LossInputError(str(error)) from None
        self.rows = rows

    def forward(
        self, input: Tensor, target: Tensor | None = None, *, counts: Tensor | None = None
    ) -> Tensor:
        """The loss of inputs."""
        shape = (self.num_classes, *self.out_features)
        bias = None if self.linear.bias is None else self.linear.bias.reshape(shape)
        return linear_cross_entropy(
            input,
            self.linear.weight.reshape((*shape, self.linear.in_features)),
            target,
            linear_bias=bias,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
            counts=counts,
            rows=self.rows,
        )

    def terms(
        self, input: Tensor, target: Tensor | None = None, *, counts: Tensor | None = None
    ) -> Terms:
        """Log-sum-exp, entropy of the targets and excess over it, row by row."""
        ignored = -100 if self.ignore_index is None else self.ignore_index
        return loss_terms(
            input,
            target,
            counts=counts,
            linear_weight=self.linear.weight,
            linear_bias=self.linear.bias,
            weight=self.weight,
            ignore_index=ignored,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        return f"in_features={self.linear.in_features}, num_classes={self.num_classes}, bias={self.linear.bias is not None}, {super().extra_repr()}"
