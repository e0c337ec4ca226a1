"""A model with words that are not trained and its run; a model of plain words."""

import pytest
import unseen_words
from topics import SMALL, sentences

import exact2vec as e2v


@pytest.fixture(scope="session")
def model():
    return unseen_words.model()


@pytest.fixture(scope="session")
def run(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rare")
    model.save(folder / "run")
    return folder / "run"


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run folder of three topics, and the model that was saved there."""
    run, model = tmp_path_factory.mktemp("topics") / "run", e2v.Exact2Vec(**SMALL).fit(sentences())
    model.save(run)
    return run, model
