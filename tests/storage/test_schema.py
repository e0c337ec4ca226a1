"""The files of a run: their names stand in one place, and what is wrong in them is named."""

import ast
import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

import exact2vec
from exact2vec.counts.kinds import stored_kind
from exact2vec.errors import CorruptFileError
from exact2vec.storage import encoding, item_files, progress_files, run_folder, schema, word_files
from exact2vec.storage.stored_file import is_stored, optional_file

ROOT = Path(exact2vec.__file__).parent
SCHEMAS = {
    ROOT / "storage" / f"{module.__name__.rpartition('.')[2]}.py": module
    for module in (schema, word_files, item_files, progress_files)
}
KINDS = [
    kind
    for module in SCHEMAS.values()
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if kind.__module__ == module.__name__
]
WORDS = ["tea", "milk", "toast"]


def written(folder, *files):
    """A run folder that holds these files."""
    with run_folder.create(folder, kind="run") as part:
        for file in files:
            file.write(part)
    return run_folder.open_run(folder)


def texts_in_code(path):
    """The text constants of a module that are not docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings
    }


def test_file_names_stand_in_the_schemas_alone():
    names = {kind.file for kind in KINDS}
    assert len(names) == len(KINDS) == 25
    assert names <= set().union(*map(texts_in_code, SCHEMAS))
    for path in ROOT.rglob("*.py"):
        if path not in SCHEMAS:
            template = {schema.Report.file} if path.name == "report.py" else set()
            assert names & texts_in_code(path) == template, path


def test_the_page_of_files_names_every_file():
    page = (ROOT.parent / "docs" / "files.md").read_text()
    for kind in KINDS:
        assert f"`{kind.file}`" in page


@pytest.mark.parametrize(
    "stored",
    [
        schema.Vocabulary(WORDS, np.array([3, 2, 1])),
        schema.RowNames(["ann"], np.array([0.5])),
        schema.RareWords(["jam"], [2], 9),
        schema.RareWords(["jam"], None, 0),
        schema.Counting({"kind": "plain"}, {"read": 3}, {"regex": None}),
        schema.VectorSettings({"kind": "plain"}, {}, "baskets"),
        item_files.Rows(["ann"], ["bob"], None, 7, {"read": 3}, {"min_count": 5}, "table"),
        schema.Prior([1.0, 2.0], 3, 6, ["<te"], None, None),
        schema.Folded(["jam"], [], ["ham"], 0.25),
        word_files.Contexts(["jam"], [7], 9, [0, 2]),
        schema.Config({"threads": None}),
        schema.Summary({"step": 1}),
        schema.Provenance({"machine": "made"}),
        schema.History([{"step": 0, "nll": 1.5}, {"step": 1, "nll": None}]),
        schema.Times([{"step": 0, "seconds": 0.5}]),
    ],
    ids=lambda stored: type(stored).__name__,
)
def test_what_was_written_is_read(tmp_path, stored):
    run = written(tmp_path / "run", stored)
    assert is_stored(type(stored), run)
    again = type(stored).read(run)
    for name, value in vars(stored).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert optional_file(type(stored), written(tmp_path / "other")) is None


@pytest.mark.parametrize("odd", [{"kept_tokens": ["a"]}, {"words": "ham"}, {"times": [None]}])
def test_odd_fields_of_rare_words_are_named(tmp_path, odd):
    with run_folder.create(tmp_path / "run", kind="run") as part:
        stored = {"words": ["jam"], "times": [2], "kept_tokens": 9} | odd
        encoding.write_json(part / schema.RareWords.file, stored)
    with pytest.raises(CorruptFileError, match=rf"rare.json: {next(iter(odd))} should be"):
        schema.RareWords.read(run_folder.open_run(tmp_path / "run"))


def test_cells_keep_their_parts_and_kinds(tmp_path):
    whole = csr_array(np.array([[2**40, 0, 1], [0, 3, 0]]))
    real = csr_array(np.array([[0.5, 0.25, 0.0]]))
    run = written(tmp_path / "run", schema.Cells(whole, None, whole, real))
    again = schema.Cells.read(run, (2, 3), rare=1)
    assert again.held_out is None
    assert (again.training.dtype, again.rare.dtype) == (np.int64, np.float64)
    np.testing.assert_array_equal(again.training.toarray(), whole.toarray())
    np.testing.assert_array_equal(again.validation.toarray(), whole.toarray())
    np.testing.assert_array_equal(again.rare.toarray(), real.toarray())
    with pytest.raises(CorruptFileError, match="3 names of rows, but training has 2 rows"):
        schema.Cells.read(run, (3, 3), rare=1)
    with pytest.raises(CorruptFileError, match="training is no matrix of 2 × 2"):
        schema.Cells.read(run, (2, 2), rare=1)


def test_small_counts_take_four_bytes_each(tmp_path):
    arrays = encoding.matrix_arrays("training.", csr_array(np.array([[7, 2**32 - 1]])))
    assert arrays["training.data"].dtype == np.uint32
    arrays = encoding.matrix_arrays("training.", csr_array(np.array([[7, 2**32]])))
    assert arrays["training.data"].dtype == np.int64


def test_vectors_are_as_many_as_their_names(tmp_path):
    ones = np.ones((2, 4), np.float32)
    three = np.ones((3, 4), np.float32)
    arrays = schema.Vectors(ones, three, three[:, 0], np.full(3, 1 / 3))
    run = written(tmp_path / "run", arrays)
    again = schema.Vectors.read(run, (2, 3))
    assert (again.inputs.shape, again.outputs.shape) == ((2, 4), (3, 4))
    assert (again.inputs.dtype, again.unigram.dtype) == (np.float32, np.float64)
    for names in ((3, 3), (2, 2), (3, 2)):
        with pytest.raises(CorruptFileError, match="they should be as many"):
            schema.Vectors.read(run, names)


def test_a_prior_has_a_row_of_the_maps_for_each_feature(tmp_path):
    features = csr_array(np.array([[1.0, 0], [0, 2]], np.float32))
    names = schema.Prior([1.0, 2.0], 3, 6, ["<te"], ["tea", "milk"], ["hot", "white"])
    maps = np.arange(6, dtype=np.float32).reshape(3, 2)
    run = written(tmp_path / "run", names, schema.PriorArrays(maps, -maps, features))
    again = schema.PriorArrays.read(run, schema.Prior.read(run))
    np.testing.assert_array_equal(again.output_map, -maps)
    np.testing.assert_array_equal(again.features.toarray(), features.toarray())
    short = written(tmp_path / "short", names, schema.PriorArrays(maps[:2], maps[:2], features))
    with pytest.raises(CorruptFileError, match="there are 3 features, the maps have 2 rows"):
        schema.PriorArrays.read(short, names)


def test_folded_rows_are_as_many_as_their_names(tmp_path):
    names = schema.Folded(["jam"], [], [], 0.0)
    row = np.ones((2, 3), np.float32)
    arrays = schema.FoldedArrays(row, row, row, np.array([True, False]), np.ones(2))
    run = written(tmp_path / "run", names, arrays)
    with pytest.raises(CorruptFileError, match="1 names, other numbers of rows"):
        schema.FoldedArrays.read(run, names)


def test_contexts_are_as_many_as_their_names(tmp_path):
    cells = csr_array(np.array([[1, 0, 2]]))
    names = word_files.Contexts(["jam", "ham"], [7], 9, [0])
    run = written(tmp_path / "run", names, word_files.ContextCells(cells, cells))
    with pytest.raises(CorruptFileError, match="2 words, 1 times; they should be as many"):
        word_files.Contexts.read(run)
    with pytest.raises(CorruptFileError, match="2 names of rows, but rare has 1 rows"):
        word_files.ContextCells.read(run, names, 3)


def test_rows_of_items_are_as_many_as_their_names(tmp_path):
    cells = csr_array(np.array([[1, 0, 2.5]]))
    names = item_files.Rows(["ann"], None, ["bob"], 3, {}, {}, "table")
    arrays = item_files.RowCells(cells, None, None, cells, cells)
    run = written(tmp_path / "run", names, arrays)
    again = item_files.RowCells.read(run, names, 3)
    assert again.validation_targets is None
    np.testing.assert_array_equal(again.held_out_contexts.toarray(), cells.toarray())
    more = item_files.Rows(["ann", "cy"], None, ["bob"], 3, {}, {}, "table")
    with pytest.raises(CorruptFileError, match="2 names of rows, but training has 1 rows"):
        item_files.RowCells.read(run, more, 3)
    twice = item_files.Rows(["ann", "ann"], None, None, 3, {}, {}, "table")
    with pytest.raises(CorruptFileError, match="the name of a row stands twice"):
        item_files.Rows.read(written(tmp_path / "twice", twice))
    for value in (-1.0, np.nan, np.inf):
        bad = csr_array(np.array([[1, 0, value]]))
        run = written(
            tmp_path / f"bad{value}", names, item_files.RowCells(bad, None, None, *[cells] * 2)
        )
        with pytest.raises(CorruptFileError, match=r"above 0|at least 0"):
            item_files.RowCells.read(run, names, 3)


def test_an_unknown_kind_of_data_is_named():
    with pytest.raises(CorruptFileError, match=r"counting.json: kind 'birds' is unknown"):
        stored_kind("birds", Path("counting.json"))


def test_folders_without_a_kind_are_text(tmp_path):
    with run_folder.create(tmp_path / "run", kind="run") as part:
        fields = {"weighting": {"kind": "plain"}, "tokens": {}, "settings": {}}
        encoding.write_json(part / schema.Counting.file, fields)
        encoding.write_json(part / schema.VectorSettings.file, fields)
    run = run_folder.open_run(tmp_path / "run")
    assert schema.Counting.read(run).kind == schema.VectorSettings.read(run).kind == "text"


def test_a_missing_field_is_named(tmp_path):
    with run_folder.create(tmp_path / "run", kind="run") as part:
        encoding.write_json(part / schema.Counting.file, {"tokens": {}, "settings": {}})
        encoding.write_json(part / schema.Folded.file, ["names"])
        encoding.write_arrays(part / schema.Vectors.file, {"inputs": np.ones((1, 1), np.float32)})
    run = run_folder.open_run(tmp_path / "run")
    with pytest.raises(CorruptFileError, match=r"should hold weighting.*it lacks weighting$"):
        schema.Counting.read(run)
    with pytest.raises(CorruptFileError, match=r"should hold names.*an object of them"):
        schema.Folded.read(run)
    with pytest.raises(CorruptFileError, match="lacks outputs, bias, unigram"):
        schema.Vectors.read(run, (1, 1))


def test_a_table_has_an_empty_cell_for_none(tmp_path):
    table = schema.HistoryTable([{"step": 0, "nll": None}, {"step": 1, "nll": 1.5}])
    table.write(tmp_path)
    assert (tmp_path / table.file).read_text() == "step,nll\n0,\n1,1.5\n"


def test_the_manifest_names_what_lies_beside_it(tmp_path):
    run = written(tmp_path / "run", schema.Config({"rate": 0.05}))
    manifest = json.loads((tmp_path / "run" / run_folder.MANIFEST).read_text())
    assert manifest["format"] == run_folder.FORMAT == 2
    assert list(manifest["files"]) == [schema.Config.file]
    assert run.check() == [(schema.Config.file, 18)]  # with a line end behind each brace
