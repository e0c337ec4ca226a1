"""Folders whose digests are right and whose content is not: exit 4, or a right answer."""

import hashlib
import json
import math
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import exact2vec as e2v
from exact2vec.counts.counts import Counts
from exact2vec.errors import CorruptFileError
from exact2vec.storage.encoding import json_bytes, safetensors_pieces
from exact2vec.storage.run_folder import MANIFEST, manifest_digest

GOLDEN = Path(__file__).parents[1] / "golden" / "format1"
OF_JSON = [None, "x", -1, 1e300, 2**64, [], {}, True, [None], {"x": 1}, "words"]
OF_ARRAYS = [
    lambda array: array[:0],
    lambda array: array[:-1],
    lambda array: array.reshape(-1),
    lambda array: array[None],
    lambda array: array.astype(np.float64),
    lambda array: array.astype(np.int32),
    lambda array: np.full_like(array, -1) if array.dtype.kind != "u" else array + 2**31,
    lambda array: np.full(array.shape, math.nan, array.dtype) if array.dtype.kind == "f" else None,
    lambda array: np.full(array.shape, math.inf, array.dtype) if array.dtype.kind == "f" else None,
    lambda array: np.append(array[:-1], -1).astype(np.int64) if array.dtype.kind == "i" else None,
    lambda array: array.astype(np.float64) if array.dtype.kind in "iu" else None,
]


def rewrite(folder, name, data):
    """Put a file into a run, with a manifest that says so."""
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["sha256"]
    (folder / name).write_bytes(data)
    manifest["files"][name] = hashlib.sha256(data).hexdigest()
    signed = manifest | {"sha256": manifest_digest(manifest)}
    (folder / MANIFEST).write_bytes(json_bytes(signed))


def made_up():
    """(file, what was done, its bytes) for each field of each file that is read."""
    for path in sorted(GOLDEN.glob("*.json")):
        if path.name in (MANIFEST, "provenance.json", "config.json", "summary.json"):
            continue
        stored = json.loads(path.read_text())
        yield path.name, "no object", b"[1]\n"
        yield path.name, "no JSON", b"{"
        for field in stored:
            without = {name: value for name, value in stored.items() if name != field}
            yield path.name, f"no {field}", json_bytes(without)
            for value in OF_JSON:
                yield path.name, f"{field} = {value!r}", json_bytes(stored | {field: value})
            for odd in OF_JSON if isinstance(stored[field], list) else []:
                changed = [odd, *stored[field][1:]]
                yield path.name, f"{odd!r} in {field}", json_bytes(stored | {field: changed})
    for path in sorted(GOLDEN.glob("*.safetensors")):
        arrays = safetensors.numpy.load(path.read_bytes())
        for field, array in arrays.items():
            without = {name: other for name, other in arrays.items() if name != field}
            yield path.name, f"no {field}", b"".join(safetensors_pieces(without))
            for number, change in enumerate(OF_ARRAYS):
                changed = change(array)
                if changed is not None:
                    data = b"".join(safetensors_pieces(arrays | {field: changed}))
                    yield path.name, f"{field}, change {number}", data


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.soak)])
def test_content_that_makes_no_sense_is_refused_or_harmless(tmp_path, every):
    folder, bad = tmp_path / "run", []
    shutil.copytree(GOLDEN, folder)
    refused = total = 0
    for name, what, data in islice(made_up(), 0, None, every):
        before, manifest = (folder / name).read_bytes(), (folder / MANIFEST).read_bytes()
        rewrite(folder, name, data)
        total += 1
        try:
            vectors, counts = e2v.load(folder), Counts.load(folder)
            near = vectors.most_similar("sun", topn=3)
            assert all(math.isfinite(cosine) for _, cosine in near)
            assert np.isfinite(vectors.log_probabilities("sun")).all()
            assert counts.training.sum() > 0
        except CorruptFileError:
            refused += 1
        except Exception as error:
            bad.append(f"{name}: {what}: {type(error).__name__}: {str(error)[:80]}")
        (folder / name).write_bytes(before)
        (folder / MANIFEST).write_bytes(manifest)
    assert not bad, f"{len(bad)} of {total}, {refused} refused:\n" + "\n".join(bad[:60])
    assert refused > 0.6 * total


@pytest.mark.parametrize("name", ["vocabulary.json", "vectors.safetensors", "counts.safetensors"])
def test_what_is_wrong_is_named(tmp_path, name):
    shutil.copytree(GOLDEN, tmp_path / "run")
    rewrite(tmp_path / "run", name, b"{}")
    with pytest.raises(CorruptFileError, match=name):
        _ = e2v.load(tmp_path / "run"), Counts.load(tmp_path / "run")
