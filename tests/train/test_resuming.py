"""State, schedule and position are all that training goes on from, in another process too."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from exact2vec.counts.counting import count_text
from exact2vec.counts.counts import Counts
from exact2vec.errors import DivergedError
from exact2vec.train.fit import fit
from exact2vec.train.optimizers import AdamOfInputs, Optimizers

RANDOM = np.random.default_rng(0)
TEXTS = [[f"w{int(i)}" for i in RANDOM.zipf(1.5, 40) if i < 90] for _ in range(200)]
HOW = {"vector_size": 5, "block_rows": 11, "exact_every": 2}
CASES = {
    "no shrinkage": HOW | {"epochs": 3, "prior": None},
    "shrinkage": HOW | {"epochs": 3},
    "chosen end": HOW | {"epochs": "auto", "max_epochs": 30, "prior": None},
    "chosen end, shrinkage": HOW | {"epochs": "auto", "max_epochs": 30},
    "other optimisers": HOW
    | {"epochs": 2, "prior": None, "optimizers": Optimizers(inputs=AdamOfInputs())},
}
GO_ON = """
import pickle, sys
from exact2vec.train.fit import fit
counts, jobs = pickle.loads(sys.stdin.buffer.read())
last = []
for how, progress in jobs:
    losses = [r.training for r in fit(counts, **how, threads=1, progress=progress)]
    *_, record = fit(counts, **how, threads=2, progress=progress)
    last.append((losses, record))
sys.stdout.buffer.write(pickle.dumps(last))
"""


def tensors(state):
    every = [state.inputs, state.output_rows, *state.output_memory, *state.input_memory]
    if state.shrinkage is not None:
        every += state.shrinkage.maps
        for pull in state.shrinkage.pulls:
            every += [pull.means, pull.metric]
    return every


@pytest.fixture(scope="module")
def counts():
    return count_text(TEXTS, min_count=2, validation=0.2)


@pytest.fixture(scope="module")
def undisturbed(counts):
    """Of each case: every record's losses, the last record, and progress at several places."""
    found = {}
    for name, how in CASES.items():
        losses, saved = [], {}
        for record in fit(counts, **how):
            losses.append(record.training)
            saved[record.step] = pickle.dumps(record.progress)
            last = record
        places = (0, last.step // 3, last.step // 2, last.step - 1, last.step)
        found[name] = (losses, last, {step: saved[step] for step in places})
    return found


def test_what_another_process_goes_on_from_ends_with_the_same_bytes(counts, undisturbed):
    """Each is gone on from twice: what it is gone on from stays as it is."""
    jobs, expected = [], []
    for name, (losses, last, saved) in undisturbed.items():
        for step, written in saved.items():
            if step < last.step:
                jobs.append((CASES[name], pickle.loads(written)))
                expected.append((name, step, losses[step + 1 :], last))
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", GO_ON],
        input=pickle.dumps((counts, jobs)),
        stdout=subprocess.PIPE,
        cwd=root,
        check=True,
    )
    for (name, step, losses, last), (again, end) in zip(
        expected, pickle.loads(done.stdout), strict=True
    ):
        case = f"{name}, from step {step}"
        assert again == losses, case
        assert (end.schedule, end.position, end.losses) == (
            last.schedule,
            last.position,
            last.losses,
        ), case
        for one, other in zip(tensors(end.state), tensors(last.state), strict=True):
            assert torch.equal(one, other), case


def test_training_that_has_ended_has_no_records_left(counts, undisturbed):
    for name, (_, last, saved) in undisturbed.items():
        assert list(fit(counts, **CASES[name], progress=pickle.loads(saved[last.step]))) == []


def test_places_lie_within_epochs_and_ends_were_chosen(undisturbed):
    """Or the tests above would say less than their names."""
    for name, (_, last, saved) in undisturbed.items():
        positions = [pickle.loads(written).position for written in saved.values()]
        assert sum(not position.ends_part for position in positions) >= 2, positions
        assert (last.epoch < 30) == (last.step == last.steps), name
        if "chosen" in name:
            assert 3 <= last.epoch < 30
            assert last.schedule.falls_from[0] > 0


def test_the_ceiling_of_the_start_still_holds(counts):
    how = HOW | {"epochs": 3, "prior": None}
    for record in fit(counts, **how):
        if record.step == 3:
            break
    again = fit(counts, **how | {"rate": 1e6}, progress=record.progress)
    with pytest.raises(DivergedError, match=r"above the start's and the unigram's|not finite"):
        list(again)


def test_a_copy_of_a_state_stays_as_it_is():
    """And the tensors of the state itself do not: they are updated in place."""
    counts = Counts.from_matrix(RANDOM.poisson(3.0, (30, 8)))
    records = fit(counts, **HOW, epochs=3)
    first = next(records).state
    kept = first.copy()
    saved = [tensor.clone() for tensor in tensors(first)]
    list(records)
    for one, other in zip(tensors(kept), saved, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first.inputs, kept.inputs)
    assert not torch.equal(first.output_rows, kept.output_rows)
    assert not torch.equal(first.output_memory[0], kept.output_memory[0])
