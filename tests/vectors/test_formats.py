"""Files of word2vec hold the vectors bit for bit."""

import numpy as np
import pytest
from checking import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import exact2vec as e2v
from exact2vec.counts.counts import unigram
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import WindowWeighting
from exact2vec.errors import InputError, UsageError
from exact2vec.vectors.formats import export


def vectors_of(words, size, seed=0):
    random = np.random.default_rng(seed)
    arrays = [random.standard_normal((len(words), size)) for _ in range(2)]
    arrays = [(array * 10.0 ** random.integers(-30, 30)).astype(np.float32) for array in arrays]
    bias = np.zeros(len(words), np.float32)
    return e2v.Vectors(
        Vocabulary(words, np.arange(len(words), 0, -1)),
        *arrays,
        bias,
        unigram(np.ones(len(words))),
        WindowWeighting(),
        {},
    )


@settings(max_examples=examples(30))
@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters=" \n"),
            min_size=1,
            max_size=5,
        ),
        min_size=2,
        max_size=8,
        unique=True,
    ),
    st.integers(1, 5),
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_gensim_reads_what_we_export_bit_for_bit(tmp_path_factory, words, size):
    gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")
    folder, vectors = tmp_path_factory.mktemp("export"), vectors_of(words, size)
    for name in ("v.vec", "v.bin"):
        export(vectors, folder / name)
        read = gensim.KeyedVectors.load_word2vec_format(folder / name, binary=name.endswith("bin"))
        assert read.index_to_key == words
        np.testing.assert_array_equal(read.vectors, vectors.vectors)


def test_words_that_word2vec_files_cannot_hold_are_refused(tmp_path):
    for word in ("two words", "line\nend", ""):
        with pytest.raises(InputError, match="cannot be written"):
            export(vectors_of(["fine", word], 3), tmp_path / "v.vec")
    with pytest.raises(UsageError, match="must end in"):
        export(vectors_of(["a", "b"], 3), tmp_path / "v.zip")
    assert list(tmp_path.iterdir()) == []
