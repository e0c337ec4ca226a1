"""Whole commands from text to vectors, ours and those of the sampled tools, interleaved.

They show seconds, memory, and what the vectors are worth.

Train with every method and score, which begins the file anew; or train with some again:
    python benchmarks/peers.py run ../shared/data SCRATCH benchmarks/results/peers.jsonl [METHOD …]
Add fastText's full softmax, pairs a second:
    python benchmarks/peers.py softmax SCRATCH benchmarks/results/peers.jsonl
Put the tables into docs/measured.md, and draw quality over seconds:
    python benchmarks/peers.py table
    python benchmarks/peers.py figure docs/see/peers.svg

Each method runs as a process of its own on the unpacked wiki.txt, with D = 100, window 5,
min-count 20 and two threads. Imports, counting and writing count.

A line holds wall and CPU seconds, peak memory, and for each set the result with a 95 % interval by
bootstrap over its items (1,000 draws, seed 0). All are on the items whose words every method has.
`difference` lines compare with each of the references in peers_scores.py, item by item, over the
same draws. Ours are the embeddings of the default command; the sums of inputs and outputs of the
same runs are scored too. So are the others' vectors flattened as ours are: less their mean, each
principal axis divided by its standard deviation to the power p.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peers_table
import raw
from numpy.typing import NDArray
from peers_scores import score_rows

RESULTS = raw.RESULTS / "peers.jsonl"
MEASURED = Path(__file__).parents[1] / "docs" / "measured.md"
GENSIM = {"vector_size": 100, "window": 5, "min_count": 20, "workers": 2}


def gensim(text: Path, out: Path, **settings: Any) -> None:
    """gensim's Word2Vec: the input vectors, as its `wv` gives them."""
    from gensim.models import Word2Vec
    from gensim.models.word2vec import LineSentence

    model = Word2Vec(LineSentence(str(text)), **GENSIM, **settings)
    save(out, model.wv.index_to_key, model.wv.vectors)


def gensim_fasttext(text: Path, out: Path, **settings: Any) -> None:
    from gensim.models import FastText
    from gensim.models.word2vec import LineSentence

    model = FastText(LineSentence(str(text)), **GENSIM, min_n=3, max_n=6, **settings)
    save(out, model.wv.index_to_key, model.wv.vectors)


def fasttext(text: Path, out: Path, **settings: Any) -> None:
    import fasttext as library

    model = library.train_unsupervised(
        str(text), model="skipgram", dim=100, ws=5, minCount=20, thread=2, verbose=0, **settings
    )
    save(out, model.words, np.array([model.get_word_vector(word) for word in model.words]))


def spectral(text: Path, out: Path) -> None:
    """PPMI-SVD alone (scipy): singular vectors of the positive PMI of gensim-like counts.

    Each is multiplied by √ its singular value.
    """
    from scipy.sparse.linalg import svds

    from exact2vec import Text, count_text

    counts = count_text(Text(text), min_count=20, held_out=0)
    weighted = counts.weigh(counts.training).tocoo()
    totals = np.bincount(weighted.row, weighted.data.astype(np.float64))
    pmi = np.log(
        weighted.data.astype(np.float64)
        * totals.sum()
        / (totals[weighted.row] * totals[weighted.col])
    )
    weighted.data = np.maximum(pmi, 0).astype(np.float32)
    left, values, _ = svds(weighted.tocsr(), k=100, random_state=0)
    save(out, counts.words, left * np.sqrt(values))


def edrep(text: Path, out: Path) -> None:
    """EDRep (Dall'Amico and Belliardo 2024) of the conditional distributions of our counts.

    All but the dimension are its own defaults.
    """
    from EDRep import CreateEmbedding
    from scipy.sparse import csr_matrix, diags

    from exact2vec import Text, count_text

    counts = count_text(Text(text), min_count=20, held_out=0)
    weighted = csr_matrix(counts.weigh(counts.training).astype(np.float64))
    shares = diags(1 / np.asarray(weighted.sum(axis=1)).ravel()) @ weighted
    save(out, counts.words, CreateEmbedding([shares], dim=100, p0=counts.unigram, verbose=False).X)


def ours(text: Path, out: Path, *, epochs: int, seed: int = 1, **settings: Any) -> None:
    """The command itself."""
    from exact2vec.cli import main

    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    main(
        [
            "train",
            str(text),
            "-o",
            str(out),
            f"--epochs={epochs}",
            f"--seed={seed}",
            "--min-count=20",
            "--threads=2",
            "--force",
            *flags,
        ],
        standalone_mode=False,
    )


def softmax_rate(scratch: Path, results: Path) -> None:
    """Append how many pairs a second fastText's full softmax trains on, over the same words.

    It runs one epoch over a list of all words of min-count 20 and 4 kB of text. Pairs are
    tokens · (ws + 1), since a window is drawn from 1 to ws on each side.
    """
    import fasttext as library

    words, _ = vectors_of(scratch / "fastText skipgram, 5 epochs")
    some = [line.split() for line in (scratch / "wiki.txt").read_text()[:4_000].splitlines()]
    part = scratch / "softmax.txt"
    part.write_text(
        "\n".join([*words, *(" ".join(line) for line in some)]) + "\n"
    )  # a word on a line of its own makes no pair
    began = time.perf_counter()
    model = library.train_unsupervised(
        str(part),
        model="skipgram",
        loss="softmax",
        dim=100,
        ws=5,
        minCount=1,
        epoch=1,
        t=1.0,
        thread=2,
        verbose=0,
    )
    seconds, pairs = time.perf_counter() - began, 6 * sum(map(len, some))
    raw.append(
        results,
        {
            "softmax": "fastText skipgram",
            "words": len(model.words),
            "pairs": pairs,
            "seconds": seconds,
            "pairs_per_second": pairs / seconds,
        },
    )


Method = tuple[Callable[..., None], dict[str, Any]]
GENSIM_SKIPGRAM = {"sg": 1, "epochs": 5}
METHODS: dict[str, Method] = {
    "exact2vec, 2 epochs": (ours, {"epochs": 2}),
    "gensim SGNS, 5 epochs": (gensim, {**GENSIM_SKIPGRAM, "seed": 1}),
    "PPMI-SVD": (spectral, {}),
    "gensim FastText skipgram, 5 epochs": (gensim_fasttext, {**GENSIM_SKIPGRAM, "seed": 1}),
    "exact2vec, 2 epochs, seed 2": (ours, {"epochs": 2, "seed": 2}),
    "gensim SGNS, 5 epochs, seed 2": (gensim, {**GENSIM_SKIPGRAM, "seed": 2}),
    "exact2vec, 3 epochs": (ours, {"epochs": 3}),
    "exact2vec, 4 epochs": (ours, {"epochs": 4}),
    "gensim FastText skipgram, 5 epochs, seed 2": (
        gensim_fasttext,
        {**GENSIM_SKIPGRAM, "seed": 2},
    ),
    "exact2vec, 1 epoch": (ours, {"epochs": 1}),
    "exact2vec, 0 epochs": (ours, {"epochs": 0}),
    "fastText skipgram, 5 epochs": (fasttext, {"epoch": 5}),
    "exact2vec, 2 epochs, seed 3": (ours, {"epochs": 2, "seed": 3}),
    "exact2vec, 3 epochs, seed 2": (ours, {"epochs": 3, "seed": 2}),
    "exact2vec, 3 epochs, seed 3": (ours, {"epochs": 3, "seed": 3}),
    "gensim SGNS, 5 epochs, seed 3": (gensim, {**GENSIM_SKIPGRAM, "seed": 3}),
    "gensim FastText skipgram, 5 epochs, seed 3": (
        gensim_fasttext,
        {**GENSIM_SKIPGRAM, "seed": 3},
    ),
    "exact2vec without prior, 0 epochs": (ours, {"epochs": 0, "prior": "no"}),
    "exact2vec without prior, 1 epoch": (ours, {"epochs": 1, "prior": "no"}),
    "exact2vec without prior, 2 epochs": (ours, {"epochs": 2, "prior": "no"}),
    "exact2vec without prior, 4 epochs": (ours, {"epochs": 4, "prior": "no"}),
    "gensim SGNS, 1 epoch": (gensim, {"sg": 1, "epochs": 1, "seed": 1}),
    "gensim SGNS, 2 epochs": (gensim, {"sg": 1, "epochs": 2, "seed": 1}),
    "gensim CBOW, 5 epochs": (gensim, {"sg": 0, "epochs": 5, "seed": 1}),
    "gensim hierarchical softmax, 1 epoch": (
        gensim,
        {"sg": 1, "hs": 1, "negative": 0, "epochs": 1, "seed": 1},
    ),
    "EDRep": (edrep, {}),
}


def save(out: Path, words: list[str], vectors: NDArray[Any]) -> None:
    """Words and vectors as a folder, as a user of the tool would write them."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "words.json").write_text(json.dumps(words))
    np.save(out / "vectors.npy", vectors.astype(np.float32), allow_pickle=False)


def vectors_of(out: Path, which: str = "embedding") -> tuple[list[str], NDArray[np.float32]]:
    if (out / "words.json").exists():
        return json.loads((out / "words.json").read_text()), np.load(
            out / "vectors.npy", allow_pickle=False
        )
    from exact2vec import load

    vectors = load(out)
    return vectors.index_to_key, vectors.matrix(which)


def flattened(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Less their mean, each principal axis divided by the power p of its deviation."""
    from exact2vec.vectors.embedding import EXPONENT, negative_power

    m = vectors - vectors.mean(axis=0, dtype=np.float64)
    return np.asarray(m @ negative_power(m.T @ m / len(m), EXPONENT / 2), np.float32)


def run(data: Path, scratch: Path, results: Path, names: list[str]) -> None:
    """Train with each method, or with those named; of a method the last line counts."""
    scratch.mkdir(parents=True, exist_ok=True)
    text = raw.unpacked_wiki(data, scratch)
    trained(text, scratch / "warm", "exact2vec, 0 epochs")  # compiles, where need be
    for name in names:
        raw.append(results, trained(text, scratch / name, name))


def trained(text: Path, out: Path, name: str) -> dict[str, Any]:
    """The line of a method, in a process of its own."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, __file__, "one", str(text), str(out), name])
    _, status, usage = os.wait4(process.pid, 0)
    row = {
        "method": name,
        "seconds": time.perf_counter() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
        "failed": status != 0,
    }
    if name.startswith("exact2vec") and not row["failed"]:
        summary = json.loads((out / "summary.json").read_text())
        row |= {
            "nll": summary["training"]["nll"],
            "held_out_nll": summary["held_out"]["nll"],
            "unigram": summary["training"]["unigram"],
        }
    return row


def score(data: Path, scratch: Path, results: Path) -> None:
    """Append what the vectors of each method are worth, and those made otherwise of the same."""
    found = {name: vectors_of(scratch / name) for name in METHODS if (scratch / name).exists()}
    for name, (words, vectors) in [*found.items()]:
        if not name.startswith("exact2vec"):
            found[f"{name}, flattened"] = words, flattened(vectors)
        elif "seed" not in name:
            found[f"{name}, sum"] = vectors_of(scratch / name, "sum")
    for row in score_rows(found, data / "eval"):
        raw.append(results, row)


if __name__ == "__main__":
    if sys.argv[1] == "one":
        train, settings = METHODS[sys.argv[4]]
        train(Path(sys.argv[2]), Path(sys.argv[3]), **settings)
    elif sys.argv[1] == "softmax":
        softmax_rate(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1] == "run":
        paths = [Path(argument) for argument in sys.argv[2:5]]
        if not sys.argv[5:]:
            paths[2].unlink(missing_ok=True)
        run(*paths, sys.argv[5:] or list(METHODS))
        score(*paths)
    elif sys.argv[1] == "score":
        score(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
    elif sys.argv[1] == "figure":
        peers_table.figure(raw.read(RESULTS), Path(sys.argv[2]))
    else:
        raw.put(MEASURED, "peers", peers_table.table(raw.read(RESULTS)))
