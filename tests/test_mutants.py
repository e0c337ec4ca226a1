"""Deliberate mistakes, each of which must turn its own test file red: tests that cannot fail would show here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MUTANTS = [
    ("loss/tiles.py", "scores[cells.row, cells.word] -= cells.count", "scores[cells.row, cells.word] += cells.count", "test_formulas"),
    ("loss/tiles.py", "(tile_largest.double() - lse).exp()", "(tile_largest.double() - tile_largest.double()).exp()", "test_formulas"),
    ("loss/tiles.py", "excess += totals * uncounted", "excess += 0 * totals * uncounted", "test_formulas"),
    ("loss/formulas.py", "0.5 - log_ratio / 6", "0.5 + log_ratio / 6", "test_formulas"),
    ("loss/sweep.py", "nll.std(ddof=1) / np.sqrt(len(draws))", "nll.std(ddof=1)", "test_formulas"),
    ("loss/explain.py", "-gradient.sum(dim=1, keepdim=True)", "gradient.sum(dim=1, keepdim=True) - 1", "test_formulas"),
    ("loss/kernels.py", "(z[i] - (d - back)) - (m + back)", "(z[i] - z[i])", "test_loss_accuracy"),
    ("loss/rows.py", "(totals[row] - value) - rest[row]", "totals[row] / (1 + others[row]) - value", "test_loss_accuracy"),
    ("loss/linear.py", "sums[1][tile].addmm_(g.T, self.x)", "sums[1][tile] = g.T @ self.x", "test_loss_linear"),
    ("loss/targets.py", "(1 - smoothing) * value, divisor", "value, divisor", "test_loss_linear"),
    ("counts/windows.py", "near = segments[left] == segments[right]", "near = segments[left] >= 0", "test_formulas"),
    ("counts/windows.py", "window + 1 - distance, np.int64", "window - distance, np.int64", "test_formulas"),
    ("counts/corpus.py", "| (self.block_held[1:] != self.block_held[:-1])", "| (self.block_held[1:] != self.block_held[1:])", "test_counting"),
    ("counts/vocabulary.py", "np.bincount(training,", "np.bincount(corpus.ids,", "test_counting"),
    ("counts/read.py", "offset - pending + error.start", "offset + error.start", "test_faults"),
    ("files.py", 'raise EOFError("the last frame has no end")', "return 0", "test_faults"),
    ("runs.py", "if hashlib.sha256(data).hexdigest() != self.files[name]:", "if False:", "test_faults"),
    ("vectors/vectors.py", "np.zeros(len(self)) if weighted else np.log(self.keep)", "np.zeros(len(self))", "test_whole_path"),
    ("vectors/formats.py", "{number:.9g}", "{number:.8g}", "test_whole_path"),
    ("vectors/evaluate.py", "near = documents[left] == documents[right]", "near = documents[left] >= 0", "test_whole_path"),
    ("train/updates.py", "scale = (square / (1 - beta2**step))", "scale = (square / (1 - beta2))", "test_updates"),
    ("train/fit.py", "np.random.default_rng([seed, epoch])", "np.random.default_rng()", "test_whole_path"),
]


@pytest.mark.parametrize(("file", "old", "new", "test"), MUTANTS, ids=lambda value: value if str(value).startswith("test_") else "")
def test_a_mistake_is_noticed(tmp_path, file, old, new, test):
    source = (ROOT / "exact2vec" / file).read_text()
    assert source.count(old) == 1, f"stale mutant: {old!r} stands {source.count(old)} times in {file}"
    for name in ("exact2vec", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "exact2vec" / file).write_text(source.replace(old, new))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/{test}.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert result.returncode == 1, f"no test of {test} notices {old!r} -> {new!r} in {file}:\n{result.stdout[-800:]}"
