"""Whole commands from text to vectors, ours and those of the sampled tools, interleaved.

They show seconds, memory, and what the vectors are worth.

Train with every method and score; this begins the file anew:
    python benchmarks/peers.py run ../shared/data SCRATCH benchmarks/results/peers.jsonl
Add fastText's full softmax, pairs a second:
    python benchmarks/peers.py softmax SCRATCH benchmarks/results/peers.jsonl
Put the tables into docs/measured.md, and draw quality over seconds:
    python benchmarks/peers.py table
    python benchmarks/peers.py figure docs/see/peers.svg

Each method runs as a process of its own on the unpacked wiki.txt, with D = 100, window 5,
min-count 20 and two threads. Imports, counting and writing count.

A line holds wall and CPU seconds, peak memory, and for each set the result with a 95 % interval by
bootstrap over its items (1,000 draws, seed 0). All are on the items whose words every method has.
`difference` lines compare with each of REFERENCES, item by item, over the same draws. Ours are the
sums of inputs and outputs; the composed vectors of the same runs are scored too.
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
import raw
from numpy.typing import NDArray

RESULTS = raw.RESULTS / "peers.jsonl"
MEASURED = Path(__file__).parents[1] / "docs" / "measured.md"
REFERENCES = (
    "gensim SGNS, 5 epochs",
    "gensim FastText skipgram, 5 epochs",
    "fastText skipgram, 5 epochs",
)
BUDGETS = (30, 60, 120)  # seconds
SETS = ("WordSim-353", "SimLex-999", "RG-65", "Google semantic", "Google syntactic")
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
    """The command itself, exact losses at the start and the end, inputs + outputs."""
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
            "--exact-every=0",
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
METHODS: dict[str, Method] = {
    "exact2vec, 4 epochs": (ours, {"epochs": 4}),
    "exact2vec, 2 epochs": (ours, {"epochs": 2}),
    "gensim SGNS, 1 epoch": (gensim, {"sg": 1, "epochs": 1, "seed": 1}),
    "exact2vec, 1 epoch": (ours, {"epochs": 1}),
    "exact2vec, 0 epochs": (ours, {"epochs": 0}),
    "gensim SGNS, 2 epochs": (gensim, {"sg": 1, "epochs": 2, "seed": 1}),
    "exact2vec without prior, 2 epochs": (ours, {"epochs": 2, "prior": "no"}),
    "exact2vec without prior, 4 epochs": (ours, {"epochs": 4, "prior": "no"}),
    "gensim SGNS, 5 epochs": (gensim, {"sg": 1, "epochs": 5, "seed": 1}),
    "exact2vec, 2 epochs, seed 2": (ours, {"epochs": 2, "seed": 2}),
    "gensim CBOW, 5 epochs": (gensim, {"sg": 0, "epochs": 5, "seed": 1}),
    "exact2vec without prior, 0 epochs": (ours, {"epochs": 0, "prior": "no"}),
    "exact2vec without prior, 1 epoch": (ours, {"epochs": 1, "prior": "no"}),
    "gensim hierarchical softmax, 1 epoch": (
        gensim,
        {"sg": 1, "hs": 1, "negative": 0, "epochs": 1, "seed": 1},
    ),
    "PPMI-SVD": (spectral, {}),
    "exact2vec, 2 epochs, seed 3": (ours, {"epochs": 2, "seed": 3}),
    "fastText skipgram, 5 epochs": (fasttext, {"epoch": 5}),
    "gensim FastText skipgram, 5 epochs": (gensim_fasttext, {"sg": 1, "epochs": 5, "seed": 1}),
    "EDRep": (edrep, {}),
    "gensim SGNS, 5 epochs, seed 2": (gensim, {"sg": 1, "epochs": 5, "seed": 2}),
    "gensim SGNS, 5 epochs, seed 3": (gensim, {"sg": 1, "epochs": 5, "seed": 3}),
}


def save(out: Path, words: list[str], vectors: NDArray[Any]) -> None:
    """Words and vectors as a folder, as a user of the tool would write them."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "words.json").write_text(json.dumps(words))
    np.save(out / "vectors.npy", vectors.astype(np.float32), allow_pickle=False)


def vectors_of(out: Path, which: str = "sum") -> tuple[list[str], NDArray[np.float32]]:
    if (out / "words.json").exists():
        return json.loads((out / "words.json").read_text()), np.load(
            out / "vectors.npy", allow_pickle=False
        )
    from exact2vec import load

    vectors = load(out)
    return vectors.index_to_key, vectors.matrix(which)


def run(data: Path, scratch: Path, results: Path) -> None:
    """Train with each method, then score all of them on the words that all have."""
    text = raw.unpacked_wiki(data, scratch)
    results.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, __file__, "one", str(text), str(scratch / "warm"), "exact2vec, 0 epochs"],
        check=True,
    )  # compiles, where need be
    for name in METHODS:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, __file__, "one", str(text), str(scratch / name), name]
        )
        _, status, usage = os.wait4(process.pid, 0)
        row = {
            "method": name,
            "seconds": time.perf_counter() - began,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_bytes": usage.ru_maxrss * 1024,
            "failed": status != 0,
        }
        if name.startswith("exact2vec") and not row["failed"]:
            summary = json.loads((scratch / name / "summary.json").read_text())
            row |= {
                "nll": summary["training"]["nll"],
                "held_out_nll": summary["held_out"]["nll"],
                "unigram": summary["training"]["unigram"],
            }
        raw.append(results, row)
    score(data, scratch, results)


def score(data: Path, scratch: Path, results: Path) -> None:
    """Append a `scores` line for each method, and a `difference` line for each reference too."""
    found = {name: vectors_of(scratch / name) for name in METHODS if (scratch / name).exists()}
    found |= {
        f"{name}, composed": vectors_of(scratch / name, "composed")
        for name in found
        if name.startswith("exact2vec, ") and "seed" not in name
    }
    common = set.intersection(*(set(words) for words, _ in found.values()))
    questions = items(data / "eval", common)
    hits = {
        name: {which: _score(words, vectors, questions[which]) for which in SETS}
        for name, (words, vectors) in found.items()
    }
    for name, of in hits.items():
        raw.append(
            results,
            {
                "scores": name,
                "common_words": len(common),
                **{which: _interval(of[which]) for which in SETS},
            },
        )
    for name, of in hits.items():
        its_seed = f"{REFERENCES[0]}, {name[-6:]}"  # seed 2 is compared with seed 2
        for reference in (its_seed,) if its_seed in hits else REFERENCES:
            if reference in hits and name != reference:
                raw.append(
                    results,
                    {
                        "difference": name,
                        "from": reference,
                        **{which: _interval(of[which], hits[reference][which]) for which in SETS},
                    },
                )


def items(folder: Path, common: set[str]) -> dict[str, Any]:
    """Each set's items among the common words: pairs with scores, or questions of four words."""
    found: dict[str, Any] = {name: [] for name in SETS}
    for name, file in zip(SETS[:3], ("wordsim353.tsv", "simlex999.tsv", "rg65.tsv"), strict=True):
        for line in (folder / file).read_text().lower().splitlines():
            if (
                not line.startswith("#")
                and (fields := line.split("\t"))[0] in common
                and fields[1] in common
            ):
                found[name].append((fields[0], fields[1], float(fields[2])))
    part = ""
    for line in (folder / "questions-words.txt").read_text().lower().splitlines():
        if line.startswith(":"):
            part = "Google syntactic" if line.startswith(": gram") else "Google semantic"
        elif set(words := line.split()) <= common:
            found[part].append(words)
    return found


def _score(
    words: list[str], vectors: NDArray[np.float32], questions: list[Any]
) -> NDArray[np.float64]:
    """For pairs an array of (cosine, human score) rows; for questions whether each is answered.

    Answers are looked for among the first 30,000 words.
    """
    from exact2vec.vectors.vectors import unit_rows

    place, unit = {word: number for number, word in enumerate(words)}, unit_rows(vectors)
    if isinstance(questions[0], tuple):
        return np.array(
            [(unit[place[one]] @ unit[place[other]], score) for one, other, score in questions]
        )
    asked = np.array([[place[word] for word in question] for question in questions])
    right = []
    for start in range(0, len(asked), 256):
        a, b, c, answer = asked[start : start + 256].T
        cosine = (unit[b] - unit[a] + unit[c]) @ unit[:30_000].T
        for known in (a, b, c):
            inside = known < cosine.shape[1]
            cosine[np.flatnonzero(inside), known[inside]] = -np.inf
        right.append(cosine.argmax(axis=1) == answer)
    return np.concatenate(right).astype(np.float64)


def _value(found: NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    return (
        float(spearmanr(found[:, 0], found[:, 1]).statistic)
        if found.ndim == 2
        else float(found.mean())
    )


def _interval(
    found: NDArray[np.float64], reference: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """The value or the difference from the reference, n, and the 95 % interval.

    The interval is that of 1,000 bootstrap draws of the items.
    """
    random = np.random.default_rng(0)

    def value(rows: NDArray[np.int64]) -> float:
        return _value(found[rows]) - (0.0 if reference is None else _value(reference[rows]))

    draws = [value(random.integers(0, len(found), len(found))) for _ in range(1000)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return {
        "value": value(np.arange(len(found))),
        "n": len(found),
        "low": float(low),
        "high": float(high),
    }


def runs_of(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The line of each method, and of its composed vectors, which is the same."""
    found = {row["method"]: row for row in rows if "method" in row and not row["failed"]}
    return found | {f"{name}, composed": row for name, row in found.items()}


def scores_of(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["scores"]: row for row in rows if "scores" in row}


def table(rows: list[dict[str, Any]]) -> str:
    """Seconds, and each set with its interval; then the differences.

    At the end stands who is ahead at each budget of seconds.
    """
    scores, runs = scores_of(rows), runs_of(rows)
    lines = [
        "| method | wall s | CPU s | peak GB | held-out NLL | " + " | ".join(SETS) + " |",
        "|" + "---|" * (len(SETS) + 5),
    ]
    for name in sorted(scores, key=str.lower):
        of = runs[name]
        cells = [_cell(scores[name][which]) for which in SETS]
        nll = f"{of['held_out_nll']:.3f}" if "held_out_nll" in of else "no likelihood"
        lines.append(
            f"| {name} | {of['seconds']:.0f} | {of['cpu_seconds']:.0f} | "
            f"{of['peak_bytes'] / 1e9:.1f} | {nll} | " + " | ".join(cells) + " |"
        )
    return "\n".join([*lines, "", differences(rows), "", budgets(rows), "", *softmax_lines(rows)])


def differences(rows: list[dict[str, Any]]) -> str:
    """Ours less each reference's, item by item, with the reference's seconds over ours."""
    found = {(row["difference"], row["from"]): row for row in rows if "difference" in row}
    runs = runs_of(rows)
    lines = [
        "| less | of | its wall s over ours | " + " | ".join(SETS) + " |",
        "|" + "---|" * (len(SETS) + 3),
    ]
    for (name, reference), row in found.items():
        if name.startswith(("exact2vec, 2 epochs", "exact2vec, 4 epochs")):
            ratio = runs[reference]["seconds"] / runs[name]["seconds"]
            lines.append(
                f"| {reference} | {name} | {ratio:.1f} | "
                + " | ".join(_cell(row[which], "+") for which in SETS)
                + " |"
            )
    return "\n".join(lines)


def budgets(rows: list[dict[str, Any]]) -> str:
    """For each budget the best result on each set, of ours and of the others.

    Methods that end within the budget take part.
    """
    scores, runs = scores_of(rows), runs_of(rows)
    lines = ["| within | | " + " | ".join(SETS) + " |", "|" + "---|" * (len(SETS) + 2)]
    for seconds in BUDGETS:
        for label, ours_too in (("ours", True), ("others", False)):
            names = [
                name
                for name in scores
                if "seed" not in name
                and runs[name]["seconds"] <= seconds
                and name.startswith("exact2vec") == ours_too
                and not name.endswith("composed")
            ]
            best = [
                max(((scores[name][which]["value"], name) for name in names), default=None)
                for which in SETS
            ]
            lines.append(
                f"| {seconds} s | {label} | "
                + " | ".join(f"{one[0]:.3f} ({one[1]})" if one else "none ends" for one in best)
                + " |"
            )
    return "\n".join(lines)


def softmax_lines(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"fastText's full softmax over {row['words']:,} words: {row['pairs_per_second']:,.0f} "
        f"pairs a second ({row['pairs']:,} in {row['seconds']:.0f} s)."
        for row in rows
        if "softmax" in row
    ][-1:]


def _cell(found: dict[str, Any], sign: str = "") -> str:
    return f"{found['value']:{sign}.3f} ({found['low']:{sign}.3f} to {found['high']:{sign}.3f})"


def figure(rows: list[dict[str, Any]], path: Path) -> None:
    """Each set over seconds: a line for ours and for gensim's epochs, points for the others."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "exact2vec"
    from matplotlib import pyplot

    scores = {name: row for name, row in scores_of(rows).items() if not name.endswith("composed")}
    seconds = {name: runs_of(rows)[name]["seconds"] for name in scores}
    curves = {
        "exact2vec": [
            f"exact2vec, {epochs}" for epochs in ("0 epochs", "1 epoch", "2 epochs", "4 epochs")
        ],
        "exact2vec without prior": [
            f"exact2vec without prior, {epochs}"
            for epochs in ("0 epochs", "1 epoch", "2 epochs", "4 epochs")
        ],
        "gensim SGNS": [f"gensim SGNS, {epochs}" for epochs in ("1 epoch", "2 epochs", "5 epochs")],
    }
    curves |= {
        name: [name]
        for name in METHODS
        if name in scores
        and not any(name in curve for curve in curves.values())
        and "seed" not in name
    }
    drawing, panels = pyplot.subplots(1, len(SETS), figsize=(16, 4), layout="constrained")
    for panel, which in zip(panels, SETS, strict=True):
        for (label, names), marker in zip(curves.items(), "osD^vP*Xh<>", strict=False):
            some = [name for name in names if name in scores]
            panel.plot(
                [seconds[name] for name in some],
                [scores[name][which]["value"] for name in some],
                marker=marker,
                label=label,
            )
        panel.set(title=which, xlabel="wall seconds, text to vectors", xscale="log")
    drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    if sys.argv[1] == "one":
        train, settings = METHODS[sys.argv[4]]
        train(Path(sys.argv[2]), Path(sys.argv[3]), **settings)
    elif sys.argv[1] == "softmax":
        softmax_rate(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1] == "run":
        run(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
    elif sys.argv[1] == "score":
        score(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
    elif sys.argv[1] == "figure":
        figure(raw.read(RESULTS), Path(sys.argv[2]))
    else:
        raw.put(MEASURED, "peers", table(raw.read(RESULTS)))
