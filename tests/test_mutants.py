"""Deliberate mistakes, each of which must turn its own test file red (`make soak`).

Tests that cannot fail would show here. Where a file has hundreds of tests, the one is named that
notices.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MUTANTS = [
    (
        "counts/walk_loops.py",
        "hop_weights[hop] * ahead[node, lane]",
        "ahead[node, lane]",
        "counts/test_walks",
    ),
    (
        "counts/walk_loops.py",
        "amounts[lane] = rest / (1 - share[lane])",
        "amounts[lane] = rest",
        "counts/test_walks",
    ),
    (
        "loss/engine/background.py",
        "gradient -= (shares",
        "gradient += (shares",
        "loss/test_engine_blocks",
    ),
    (
        "loss/engine/background.py",
        "return -pulled.to",
        "return pulled.to",
        "loss/test_engine_blocks",
    ),
    (
        "vectors/node_embedding.py",
        "u + x @ rotation.T",
        "u + x @ rotation",
        "vectors/test_nodes",
    ),
    (
        "loss/engine/reference.py",
        "cells.totals * scores.logsumexp(dim=1) - counted",
        "scores.logsumexp(dim=1) - counted",
        "loss/test_count_losses",
    ),
    (
        "loss/engine/reference.py",
        "(totals * excess).sum(dim=1)",
        "excess.sum(dim=1)",
        "loss/test_count_losses",
    ),
    (
        "loss/engine/strips.py",
        "error.sub_(scores).add_(moved.add_(largest))",
        "error.zero_()",
        "loss/test_engines::test_the_last_digits",
    ),
    (
        "loss/engine/strips.py",
        "rest - share * others",
        "rest",
        "loss/test_engines::test_the_last_digits",
    ),
    (
        "loss/engine/tile_kernels.py",
        "part[place] -= less * t",
        "part[place] += less * t",
        "loss/test_count_losses",
    ),
    (
        "loss/engine/tile_kernels.py",
        "uncounted[row] = whole - counted",
        "uncounted[row] = whole",
        "loss/test_count_losses",
    ),
    (
        "loss/engine/compiled_linear.py",
        "add_columns_by_columns(d_outputs[words], g, block.inputs * scale[:, None])",
        "add_columns_by_columns(d_outputs[words], g, block.inputs)",
        "loss/test_engines::test_linear_scores_lose_what_the_formula_says",
    ),
    (
        "loss/engine/kernels.py",
        "(tall - t) - tall * k / (1 + k)",
        "tall / (1 + k) - t",
        "loss/test_compiled_scores",
    ),
    ("loss/formulas.py", "0.5 - log_ratio / 6", "0.5 + log_ratio / 6", "loss/test_formulas"),
    (
        "loss/count_losses.py",
        "nll.std(ddof=1) / np.sqrt(len(draws))",
        "nll.std(ddof=1)",
        "loss/test_count_losses",
    ),
    (
        "loss/explain.py",
        "-gradient.sum(dim=1, keepdim=True)",
        "gradient.sum(dim=1, keepdim=True) - 1",
        "loss/test_formulas",
    ),
    (
        "loss/targets.py",
        "(1 - smoothing) * cells.value",
        "cells.value",
        "loss/test_functional",
    ),
    (
        "counts/windows.py",
        "sums[ids[near]] += window + 1 - near + place",
        "sums[ids[near]] += window - near + place",
        "counts/test_fast_counting",
    ),
    (
        "counts/windows.py",
        "words[at - 1] > word",
        "words[at - 1] >= word",
        "counts/test_fast_counting",
    ),
    (
        "counts/tokens.py",
        "if in_block == limit:",
        "if in_block > limit:",
        "counts/test_fast_counting",
    ),
    (
        "counts/token_table.py",
        "known[start + offset] != text[place + offset]",
        "False",
        "counts/test_fast_counting",
    ),
    (
        "counts/corpus.py",
        "self.block_part[1:] != self.block_part[:-1]",
        "self.block_part[1:] != self.block_part[1:]",
        "counts/test_counting",
    ),
    (
        "counts/weighting.py",
        "counts[cell] * weight * column_keep[words[cell]]",
        "counts[cell] * weight * row_keep[words[cell]]",
        "counts/test_weighting",
    ),
    (
        "counts/text_part.py",
        "corpus.block_part, part, times)",
        "0 * corpus.block_part, 0, times)",
        "counts/test_counting",
    ),
    (
        "counts/decoding.py",
        "offset - pending)",
        "offset)",
        "counts/test_text",
    ),
    (
        "storage/zstd.py",
        "if stated not in (library.CONTENTSIZE_UNKNOWN, size):",
        "if False:",
        "storage/test_zstd",
    ),
    (
        "storage/run_folder.py",
        "if hashlib.sha256(data).hexdigest() != self.files[name]:",
        "if False:",
        "cli/test_run_folders",
    ),
    (
        "vectors/vectors.py",
        "np.zeros(len(self)) if weighted else np.log(self.keep)",
        "np.zeros(len(self))",
        "vectors/test_queries",
    ),
    ("vectors/formats.py", "{number:.9g}", "{number:.8g}", "vectors/test_formats"),
    (
        "counts/counting.py",
        "near = documents[left] == documents[right]",
        "near = documents[left] >= 0",
        "vectors/test_evaluate",
    ),
    (
        "train/optimizers.py",
        "scale = (square / (1 - BETA2**step))",
        "scale = (square / (1 - BETA2))",
        "train/test_updates",
    ),
    (
        "train/optimizers.py",
        "np.float32(1 / (1 - BETA2**step))",
        "np.float32(1)",
        "train/test_updates",
    ),
    ("train/row_schedule.py", "default_rng([seed, 2, part])", "default_rng()", "test_whole_path"),
    (
        "train/row_schedule.py",
        "np.array([1, turns], np.float32)",
        "np.array([1, 1], np.float32)",
        "train/test_updates",
    ),
    ("pages/html.py", '.replace("<", "\\\\u003c")', "", "pages/test_report"),
    (
        "pages/diagnostics.py",
        "np.bincount(stretch.indices, values, size)",
        "np.bincount(rows, values, size)",
        "pages/test_diagnostics",
    ),
    (
        "pages/serve.py",
        "if not hosts or any(host not in own for host in asked):",
        "if not hosts:",
        "pages/test_serve",
    ),
    (
        "counts/features.py",
        "minlength=len(place)) > 1",
        "minlength=len(place)) > 0",
        "counts/test_features",
    ),
    ("loss/engine/tile_kernels.py", "+ square / 24", "", "loss/test_count_losses"),
    ("counts/text_part.py", "kept + is_kept", "kept", "counts/test_rare_words"),
    (
        "counts/text_part.py",
        "np.minimum(times, most, out=times)",
        "pass",
        "counts/test_rare_words",
    ),
    ("vectors/unseen_words.py", "said + self.constant", "said", "vectors/test_unseen_words"),
    (
        "vectors/unseen_words.py",
        "RARE_SHARE * _learned_share",
        "_learned_share",
        "vectors/test_unseen_words",
    ),
    (
        "vectors/fold_in.py",
        "> TOLERANCE * scale",
        "> 100 * TOLERANCE * scale",
        "vectors/test_fold_in",
    ),
    ("vectors/ridge.py", "weights[row] * targets[row, j]", "targets[row, j]", "vectors/test_ridge"),
    (
        "counts/baskets.py",
        "others[largest] = sums[row[largest]]",
        "pass",
        "counts/test_baskets::test_a_weight_that_outweighs_all_others_loses_nothing",
    ),
    (
        "counts/baskets.py",
        "others = _sums_of_others(rows)",
        "others = _sums_of_others(rows) + rows.data",
        "counts/test_baskets::test_pair_counts_are_their_formula",
    ),
    (
        "counts/row_parts.py",
        "np.lexsort((hashes, -times))",
        "np.lexsort((hashes, times))",
        "counts/test_held_out_rows",
    ),
    (
        "counts/row_parts.py",
        "place < wanted[sorted_rows]",
        "place <= wanted[sorted_rows]",
        "counts/test_held_out_rows",
    ),
    (
        "counts/item_table.py",
        "np.lexsort((weights, cell))",
        "np.argsort(cell, kind='stable')",
        "counts/test_baskets::test_the_order_of_doubled_weights_does_not_matter",
    ),
    (
        "counts/table_files.py",
        "self._line + len(block) if read is None else read + 1",
        "self._line + len(block)",
        "counts/test_long_form::test_blocks_keep_their_lines",
    ),
    (
        "counts/credit.py",
        "max(sums[word] - shares[row + target], 0.0)",
        "sums[word]",
        "counts/test_credit",
    ),
    ("counts/credit.py", "max(total - own, 0.0) + kappa", "total + kappa", "counts/test_credit"),
    (
        "vectors/item_parts.py",
        "    probabilities[_entries(contexts)] = 0\n",
        "",
        "vectors/test_item_model",
    ),
    (
        "vectors/ranking.py",
        "above += here[item] >= value",
        "above += here[item] > value",
        "vectors/test_ranking",
    ),
    (
        "loss/engine/matrix_products.py",
        "into.add_(_onednn(right.T.contiguous(), left.T).T)",
        "into.copy_(_onednn(right.T.contiguous(), left.T).T)",
        "loss/test_matrix_products",
    ),
    (
        "train/composed_items.py",
        "kept[np.flatnonzero(np.repeat(sizes > 1, sizes))[at]] = stays",
        "pass",
        "train/test_composed_items",
    ),
]


def test_mistakes_are_those_of_the_present_code():
    for file, old, _new, test in MUTANTS:
        assert (ROOT / "exact2vec" / file).read_text().count(old) == 1, (
            f"stale mutant: {old!r} does not stand once in {file}"
        )
        path, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / "tests" / f"{path}.py").read_text()


@pytest.mark.soak
@pytest.mark.parametrize(
    ("file", "old", "new", "test"),
    MUTANTS,
    ids=lambda value: value if re.fullmatch(r"(\w+/)?test_\w+(::\w+)?", value) else "",
)
def test_a_mistake_is_noticed(tmp_path, file, old, new, test):
    source = (ROOT / "exact2vec" / file).read_text()
    for name in ("exact2vec", "tests"):  # with what is compiled, but of the mutant
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "exact2vec" / file).write_text(source.replace(old, new))
    if file.endswith("/kernels.py"):  # loops of other files hold it, and numba does not look there
        for loop in (tmp_path / "exact2vec" / file).parent.glob("__pycache__/*.nb[ic]"):
            loop.unlink()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-m",
        "not soak",
        "tests/" + re.sub(r"(::|$)", r".py\1", test, count=1),
    ]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "EXACT2VEC_MUTANT": "1",
            "OMP_NUM_THREADS": "1",  # these problems are small, and others run beside them
        },
    )
    assert result.returncode == 1, (
        f"no test of {test} notices {old!r} -> {new!r} in {file}:\n{result.stdout[-800:]}"
    )
