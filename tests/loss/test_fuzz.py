"""The searches of test_accuracy_search.py from many starts and with many more examples."""

import accuracy
import pytest
import torch
from checking import FUZZ
from test_accuracy_search import (
    LIMITS,
    TILED_LIMITS,
    each_dtype,
    each_engine,
    each_loss,
    hold,
    search_with_hypothesis,
    served_by,
)

import exact2vec as e2v

pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta"),
]
SEEDS = range(2, 2 + FUZZ)


@each_loss
@each_dtype
def test_no_scores_are_found_from_many_starts(kind, linear, dtype):
    for seed in SEEDS:
        hold(accuracy.search(e2v, kind, dtype, linear, seed=seed, within=linear), LIMITS[dtype])


@each_loss
def test_no_scores_are_found_for_the_tiled_engine_from_many_starts(kind, linear):
    with served_by("tiled"):
        for seed in SEEDS:
            worst = accuracy.search(e2v, kind, torch.float32, linear, seed=seed, within=True)
            hold(worst, TILED_LIMITS[torch.float32])


@each_engine
def test_very_many_rows_of_hostile_scores(engine):
    search_with_hypothesis(engine, 4000 * FUZZ)
