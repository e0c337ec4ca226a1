"""The exact loss beside sampled negatives, on one composed model: quality, calibration and time.

    python benchmarks/item_sampled.py ../shared/data benchmarks/results/item_sampled.jsonl retail
    python benchmarks/item_sampled.py table

All losses share the model, its start, the thinned contexts, their order, Adam and its rates; only
the loss differs. A row's negatives are drawn by popularity q, those of its context left out. With
negatives S and a target t the loss is

    −log [ e^(z_t − log q_t) / (e^(z_t − log q_t) + Σ_{s in S} e^(z_s − log q_s)) ],

whose minimum is that of the exact loss for any number of negatives (Ma and Collins 2018; log q:
Jean and others 2015). A temperature of the finished model is chosen on the part that chooses.
"""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import raw
import torch
from item_data import READERS, Data
from item_peers import SEEDS, clock
from items import COMPOSED, calibration, mean_and_range, misplaced
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import embedding

from exact2vec.counts.counts import unigram
from exact2vec.options import available_threads
from exact2vec.parallel import Workers
from exact2vec.train.composed_items import ComposedSettings, thinned, train_composed
from exact2vec.train.item_training import PRESETS, item_times
from exact2vec.train.optimizers import BETA1, BETA2, EPSILON
from exact2vec.train.schedule import Schedule
from exact2vec.vectors.composed_items import Composed
from exact2vec.vectors.item_model import ItemModel, mean_nll, target_probabilities
from exact2vec.vectors.ranking import ranked

TEMPERATURES = 0.25, 4.0
NOTHING = -1e9  # the score of a negative that is left out; its share is 0


@dataclass(frozen=True)
class Loss:
    """How many negatives a row has, none for the exact loss; `shared`: those of its block."""

    name: str
    negatives: int | None = None
    shared: bool = False


LOSSES = (
    Loss("exact"),
    Loss("1 sampled", 1),
    Loss("64 sampled", 64),
    Loss("800 sampled, shared by a block", 800, shared=True),
    Loss("800 sampled", 800),
)
ENGINE = "exact, by exact2vec"  # its own loop, to see that this one trains the same


@dataclass(frozen=True)
class Block:
    """Rows of a pass: their vectors' composition, what is left out, and their targets."""

    composition: Tensor
    left_out: Tensor
    rows: Tensor
    targets: Tensor
    weights: Tensor


def blocks(rows: csr_array, settings: ComposedSettings, number: int, times: Any) -> Iterator[Block]:
    """The blocks of pass `number`, in a random order."""
    made = thinned(rows, settings.keep, times, settings.seed, number)
    sizes = np.diff(made.counts.matrix.indptr)
    order = np.random.default_rng([settings.seed, 5, number]).permutation(np.flatnonzero(sizes))
    for piece in np.array_split(order, -(-len(order) // settings.block_rows)):
        shares, targets = made.composition[piece], made.counts.matrix[piece]
        assert made.excluded is not None
        yield Block(
            torch.from_numpy(shares.toarray()),
            torch.from_numpy(made.excluded[piece].toarray() != 0),
            torch.from_numpy(np.repeat(np.arange(len(piece)), np.diff(targets.indptr))),
            torch.from_numpy(targets.indices.astype(np.int64)),
            torch.from_numpy(targets.data / len(piece)),
        )


class Draws:
    """Negatives by popularity."""

    def __init__(self, q: NDArray[np.float64], seed: int) -> None:
        self.log_q = torch.from_numpy(np.log(q).astype(np.float32))
        self.random = np.random.default_rng([seed, 6])
        self.sums = np.cumsum(q)

    def items(self, rows: int, each: int) -> Tensor:
        found = np.searchsorted(self.sums, self.random.random((rows, each)), side="right")
        return torch.from_numpy(np.minimum(found, len(self.sums) - 1))


def loss_of(block: Block, model: list[Tensor], loss: Loss, draws: Draws) -> Tensor:
    """The mean of the loss over the rows of a block, nats."""
    inputs, outputs, bias = model
    x = block.composition @ inputs
    wanted = (x[block.rows] * outputs[block.targets]).sum(dim=1) + bias[block.targets]
    if loss.negatives is None:
        scores = (x @ outputs.T + bias).masked_fill(block.left_out, NOTHING)
        return (block.weights * (scores.logsumexp(dim=1)[block.rows] - wanted)).sum()
    items = draws.items(1 if loss.shared else len(x), loss.negatives)
    if loss.shared:
        scores = x @ embedding(items[0], outputs).T
    else:
        scores = torch.bmm(embedding(items, outputs), x[:, :, None])[:, :, 0]
    left_out = block.left_out.gather(1, items.expand(len(x), -1))
    scores = (scores + bias[items] - draws.log_q[items]).masked_fill(left_out, NOTHING)
    wanted = wanted - draws.log_q[block.targets]
    whole = torch.logaddexp(wanted, scores.logsumexp(dim=1)[block.rows])
    return (block.weights * (whole - wanted)).sum()


def trained(rows: csr_array, settings: ComposedSettings, start: Composed, loss: Loss) -> Composed:
    """The composed part by this loss."""
    arrays = start.inputs, start.outputs, start.bias
    model = [torch.from_numpy(one.copy()).requires_grad_() for one in arrays]
    adam = torch.optim.Adam(model, settings.rate, (BETA1, BETA2), EPSILON)
    draws = Draws(unigram(item_times(rows).astype(np.float64)), settings.seed)
    steps = -(-int((np.diff(rows.indptr) > 1).sum()) // settings.block_rows)
    schedule = Schedule(tuple(steps * (one + 1) for one in range(settings.epochs)))
    done = 0
    for number in range(settings.epochs):
        for block in blocks(rows, settings, number, start.item_weights):
            adam.param_groups[0]["lr"] = settings.rate * schedule.rate_share(done)
            adam.zero_grad()
            loss_of(block, model, loss, draws).backward()
            adam.step()
            done += 1
    made = [one.detach().numpy() for one in model]
    return replace(start, inputs=made[0], outputs=made[1], bias=made[2])


def cooled(part: Composed, temperature: float) -> Composed:
    """Its scores divided by a temperature."""
    outputs, bias = part.outputs / temperature, part.bias / temperature
    return replace(part, outputs=outputs.astype(np.float32), bias=bias.astype(np.float32))


def chosen_temperature(part: Composed, data: Data) -> float:
    """That of the lowest NLL on the part that chooses."""
    asked = data.chooses.contexts, data.chooses.targets

    def nll(log: float) -> float:
        return mean_nll(target_probabilities(cooled(part, float(np.exp(log))), *asked))

    bounds = np.log(TEMPERATURES)
    found = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 0.005})
    return float(np.exp(found.x))


def line(data: Data, loss: Loss | str, settings: ComposedSettings, part: Composed) -> raw.Row:
    """A raw line without its time."""
    temperature = chosen_temperature(part, data)
    row: raw.Row = {
        "data": data.name,
        "loss": loss if isinstance(loss, str) else loss.name,
        "settings": asdict(settings),
        "temperature": temperature,
    }
    for name, one in (("", part), (" at its temperature", cooled(part, temperature))):
        scorer = ItemModel((one,), (1.0,)).probabilities
        found = ranked(scorer, data.reports.contexts, data.reports.targets, data.k)
        measures = found.measures().items()
        row["measures" + name] = {what: asdict(value) for what, value in measures}
        row["calibration" + name] = calibration(scorer, data.reports)
    return row


def measured(data: Data, seed: int) -> Iterator[raw.Row]:
    """A line a loss."""
    size = COMPOSED[data.name][0]
    settings = replace(PRESETS[data.kind].composed, vector_size=size, seed=seed)
    popularity = unigram(item_times(data.fitted).astype(np.float64))
    torch.set_num_threads(available_threads())
    with Workers(available_threads()) as workers:
        records = train_composed(data.fitted, popularity, settings, workers=workers)
        _, start = next(records)
        arrays = (start.inputs, start.outputs, start.bias)
        inputs, outputs, bias = (one.copy() for one in arrays)
        start = replace(start, inputs=inputs, outputs=outputs, bias=bias)
        with clock() as spent:
            *_, (_, part) = records
        yield line(data, ENGINE, settings, part) | spent
    for loss in LOSSES:
        with clock() as spent:
            part = trained(data.fitted, settings, start, loss)
        yield line(data, loss, settings, part) | spent


def main(folder: Path, output: Path, asked: list[str]) -> None:
    for one in asked:
        name, _, seeds = one.partition(":")
        data = READERS[name](folder / "items")
        for seed in [int(seed) for seed in seeds.split(",") if seed] or SEEDS:
            for row in measured(data, seed):
                raw.append(output, row)


def table(rows: list[raw.Row]) -> str:
    """docs/measured.md's table: of several seeds the mean, lowest and highest."""
    titles = ["data", "loss", "recall@10", "MRR", "NLL", "misplaced", "temperature"]
    titles += ["NLL at it", "misplaced at it", "CPU seconds"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for data, loss in dict.fromkeys((row["data"], row["loss"]) for row in rows):
        here = [row for row in rows if (row["data"], row["loss"]) == (data, loss)]
        lines.append("| " + " | ".join([data, loss, *cells_of(here)]) + " |")
    return "\n".join(lines)


def cells_of(rows: list[raw.Row]) -> list[str]:
    """The cells of one loss, whose rows differ by the seed alone."""
    plain, cool = "measures", "measures at its temperature"
    return [
        mean_and_range([row[plain]["recall@10"]["value"] for row in rows], 4),
        mean_and_range([row[plain]["mrr"]["value"] for row in rows], 4),
        mean_and_range([row[plain]["nll"]["value"] for row in rows], 3),
        mean_and_range([misplaced(row["calibration"]) for row in rows], 3),
        mean_and_range([row["temperature"] for row in rows], 2),
        mean_and_range([row[cool]["nll"]["value"] for row in rows], 3),
        mean_and_range([misplaced(row["calibration at its temperature"]) for row in rows], 3),
        f"{sum(row['cpu_seconds'] for row in rows) / len(rows):.0f}",
    ]


if __name__ == "__main__" and sys.argv[1] == "table":
    page = Path(__file__).parents[1] / "docs/measured.md"
    raw.put(page, "item_sampled", table(raw.read(raw.RESULTS / "item_sampled.jsonl")))
elif __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or ["retail", "groceries"])
