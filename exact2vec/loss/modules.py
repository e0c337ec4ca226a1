"""NLLLoss, CrossEntropyLoss and LinearCrossEntropyLoss: torch's modules with exact2vec's losses.

They say what they compute: repr() in a line, describe() in three, a notebook in a table.
"""

from typing import Any

from torch import Tensor, nn

from exact2vec.display import html_table
from exact2vec.errors import LossInputError
from exact2vec.loss import validation
from exact2vec.loss.decomposition import Terms, loss_terms
from exact2vec.loss.functional import cross_entropy, linear_cross_entropy, nll_loss

# What the parts of a loss do to its number. The three classes have torch's names, and some more.
MEANINGS = {
    "in_features": "D: how many numbers an input x has",
    "num_classes": "V: how many scores one softmax is over",
    "out_features": "positions of one input, each with a softmax of its own; () is one",
    "linear": "its weight u and bias b make the scores z = x·u + b",
    "weight": "w: a target y counts w_y times, in the sum and in its divisor; None is 1 each",
    "reduction": "mean: the sum of the rows over the divisor; sum: the sum; none: a loss a row",
    "ignore_index": "rows with this target count nothing, neither in the sum nor in its divisor",
    "label_smoothing": "ε: this share of a target goes to all V classes in equal parts",
    "dim": "which dimension of the scores is over classes; None is 1, or 0 for a single row",
    "options": "torch's chunks: batch_chunk_size is taken for rows; None is the default",
    "rows": "rows of scores in memory at once: the number is the same but for rounding",
    "training": "nothing: the loss is the same after train() and eval()",
}
USUAL = {"ignore_index": -100, "label_smoothing": 0.0, "dim": None, "rows": None}


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

    def attributes(self) -> dict[str, str]:
        """The parts of this loss, by name, each with its value as text."""
        return {name: _shown(getattr(self, name)) for name in MEANINGS if hasattr(self, name)}

    def extra_repr(self) -> str:
        """Reduction and divisor, and what else is not as it is by default."""
        parts = [f"reduction={self.reduction!r}", f"divisor: {self.divisor()}"]
        if self.weight is not None:
            parts.append(f"weight of {len(self.weight)} classes")
        for name, usual in USUAL.items():
            if (value := getattr(self, name, None)) not in (None, usual):
                parts.append(f"{name}={value}")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    def _repr_html_(self) -> str:
        """A notebook's table: what the loss is made of."""
        rows = [(name, value, MEANINGS[name]) for name, value in self.attributes().items()]
        caption = f"{type(self).__name__}: loss = {self.formula}, nats; divisor: {self.divisor()}"
        return html_table(
            ["attribute", "value", "what it does to the number"], rows, caption=caption
        )


def _shown(value: Any) -> str:
    """A value in a cell of the table: tensors by their first numbers."""
    if not isinstance(value, Tensor):
        return repr(value)
    first = ", ".join(f"{number:.4g}" for number in value[:6].tolist())
    return f"{len(value)} classes: {first}{', …' if len(value) > 6 else ''}"


def _refuse_data(name: str, weight: Any, size_average: Any) -> None:
    if isinstance(size_average, Tensor) or (isinstance(weight, Tensor) and weight.dim() != 1):
        raise LossInputError(f"{name}(x, t) makes a module and takes no data: write {name}()(x, t)")
    if weight is not None:
        validation.tensor(weight, "weight")


class NLLLoss(_Described, nn.NLLLoss):
    """torch.nn.NLLLoss: nll_loss of log-probabilities.

    >>> print(NLLLoss().describe())  # doctest: +ELLIPSIS
    loss = Σ −w_y log p_y / divisor, nats
    input: log-probabilities (N, C) or (N, C, d1, …), such as log_softmax gives; targets ...
    divisor: Σ 1 over the kept targets
    """

    formula = "Σ −w_y log p_y / divisor"
    expects = (
        "log-probabilities (N, C) or (N, C, d1, …), such as log_softmax gives; "
        "targets (N) or (N, d1, …), integers 0..C−1"
    )

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
    expects = (
        "scores (N, C) or (N, C, d1, …); targets: integers (N) or (N, d1, …), "
        "probabilities as the scores (divisor: N), or counts= (divisor: Σ w n)"
    )

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
        """Log-sum-exp, entropy of the targets and excess over it, row by row."""
        return loss_terms(
            input,
            target,
            counts=counts,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            dim=self.dim,
        )


class LinearCrossEntropyLoss(_Described, nn.LinearCrossEntropyLoss):
    """torch.nn.LinearCrossEntropyLoss: a linear layer and its loss.

    The scores of `rows` rows are in memory at a time.

    >>> LinearCrossEntropyLoss(5, 10)
    LinearCrossEntropyLoss(5 → 10, bias=False, reduction='mean', divisor: Σ 1 over the kept targets)
    """

    formula = "Σ_i t_i (log Σ_k exp z_k − z_i) / divisor, z = x·uᵀ + b"
    expects = (
        "x (N, in_features); targets: integers (N), probabilities (N, C) (divisor: N), "
        "or counts= (N, C) (divisor: Σ w n)"
    )

    def __init__(
        self, in_features: int, num_classes: int, *, rows: int | None = None, **settings: Any
    ) -> None:
        if "weight" in settings and settings["weight"] is not None:
            validation.tensor(settings["weight"], "weight")
        try:
            super().__init__(in_features, num_classes, **settings)
        except RuntimeError as error:
            raise LossInputError(str(error)) from None
        self.rows = rows

    @property
    def in_features(self) -> int:
        """How many numbers an input has."""
        return self.linear.in_features

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
        bias = self.linear.bias is not None
        return f"{self.in_features} → {self.num_classes}, bias={bias}, {super().extra_repr()}"
