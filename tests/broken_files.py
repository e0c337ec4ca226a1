"""Files that were damaged on purpose, and what each reader may do with them."""

import contextlib
import gzip
import io
import json
import resource
import signal
import time
import warnings
import zlib

import numpy as np
import pyarrow
import pyarrow.parquet
import zstandard
from altered_runs import CHANCES
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

import exact2vec as e2v
from exact2vec.counts.counts import Counts
from exact2vec.counts.feature_files import read_features, read_row_counts
from exact2vec.counts.long_form import Columns, read_long_form
from exact2vec.counts.table_files import Form
from exact2vec.counts.text import Text
from exact2vec.counts.vocabulary import Vocabulary
from exact2vec.counts.weighting import PlainWeighting
from exact2vec.errors import CorruptFileError, Exact2VecError, InputError
from exact2vec.storage import run_folder
from exact2vec.storage.files import open_decompressed
from exact2vec.vectors.formats import export, read_word2vec
from exact2vec.vectors.vectors import Vectors

CASE_SECONDS = 5  # of the processor, for an input of some kB
HANG_SECONDS = 120  # by the clock, on a machine that has much else to do
BATCH, ROUND = 20, 25  # cases of a batch, batches of a round
CASE_BYTES = 150 << 20  # more than the process ever held; a fault would take gigabytes
EXTREMES = [
    b"\xff" * 8,
    bytes(8),
    b"\xff\xff\xff\x7f" * 2,
    b"\x7f" + b"\xff" * 7,
    b"\0" * 7 + b"\x80",
]
WORDS = [
    *("boat", "sail", "ривер", "fish", "café", "漢字", "net\u200d", "bread", "’oven’", "😀"),
    *("\ufeffred", "a_b", "1e5", "nan", "\x00", "\x1b[m"),
]


@st.composite
def damaged(draw, seeds):
    """One of some files with bytes flipped, cut out, doubled, put in or written over.

    All is drawn from eight bytes: a hundred thousand files should not take hours.
    """
    chance = draw(CHANCES)
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice([0, 1, 1, 1, 2, 4])):
        start = chance.randrange(len(data) + 1)
        end = start + chance.randrange(1 << chance.randrange(1, 13))
        how = chance.choice(["flip", "flip", "cut", "double", "put in", "end", "write over"])
        if how == "flip" and start < len(data):
            data[start] ^= 1 << chance.randrange(8)
        elif how == "cut":
            del data[start:end]
        elif how == "double":
            data[start:start] = data[start:end]
        elif how == "put in":
            data[start:start] = chance.randbytes(chance.randrange(12))
        elif how == "write over":
            data[start : start + 8] = chance.choice(EXTREMES)
        else:
            del data[start:]
    return bytes(data)


def search(cases, check, *, inputs, seconds=float("inf"), first=0):
    """Try so many different cases or so many seconds; their number. The one that fails is noted.

    Rounds of some batches have seeds of their own, from `first` on.
    """
    tried, began, round_ = set(), time.monotonic(), first
    while len(tried) < inputs and time.monotonic() - began < seconds:
        missing = -(-(inputs - len(tried)) // BATCH)
        batches = min(ROUND, missing + 1)  # the first of a round is the simplest, always

        @seed(round_)
        @settings(
            max_examples=batches,
            database=None,
            derandomize=False,
            deadline=None,
            phases=[Phase.generate],  # a batch is slow to shrink, and its case is noted
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(cases, min_size=BATCH, max_size=BATCH, unique_by=repr))
        def each(batch):
            for case in batch:
                check_within_limits(check, case)
                tried.add(hash(repr(case)))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)  # that a batch has a long text
            each()
        round_ += 1
    return len(tried)


def check_within_limits(check, case):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    try:
        with no_hang():
            check(case)
        assert time.process_time() - start < CASE_SECONDS
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown * 1024 < CASE_BYTES, f"{grown:,} kB more"
    except BaseException as error:
        error.add_note(f"the case: {case!r}")
        raise


class Hang(BaseException):
    """No reader takes it for an error of its file."""


@contextlib.contextmanager
def no_hang():
    """`Hang` where what is done meanwhile does not end."""

    def give_up(number, frame):
        raise Hang(f"it did not end within {HANG_SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def only(*errors):
    """Errors of these kinds are right answers, with a message of a line."""
    try:
        yield
    except errors as error:
        assert 0 < len(str(error)) < 2000
        assert isinstance(error, Exact2VecError)


# each reader: some good files, and a check of what is made of a damaged one in a folder


def check_text(folder):
    def check(case):
        data, settings_ = case
        (folder / "text.txt").write_bytes(data)
        with only(InputError):
            text = Text(folder / "text.txt", **settings_)
            found = [token for piece in text for token in piece.tokens]
            if settings_ == {"tokens": "space"}:
                assert found == data.decode().replace("\ufeff", "").split()
            assert e2v.count_tokens(text, held_out=0).tokens == len(found)
            assert text.files[0]["bytes"] == len(data)

    return check


TEXTS = [
    " ".join(WORDS * 5).encode(),
    "\n".join(WORDS * 5).encode("utf-16"),
    "\r\n\r\n".join(WORDS[:8]).encode("utf-8-sig"),
    "\n".join(json.dumps({"text": word}) for word in WORDS).encode(),
    b"<p>a</p>\n" * 9,
    "今天天气很好我们去公园散步吧\n".encode() * 9,
    bytes(range(256)) * 2,
]
TEXT_SETTINGS = [
    {"tokens": "space"},
    {},
    {"errors": "ignore"},
    {"errors": "replace", "document": "paragraph"},
    {"encoding": "utf-16"},
    {"encoding": "utf-32-le", "errors": "replace"},
    {"encoding": "shift_jis", "errors": "ignore"},
    {"encoding": "utf-7"},
    {"regex": r"\w+", "errors": "ignore", "document": "file"},
]
PLAIN = b"".join(b"%d bottles of beer\n" % number for number in range(300)) + bytes(range(256)) * 4


def check_gzip(folder):
    def check(data):
        (folder / "text.gz").write_bytes(data)
        with only(InputError), open_decompressed(folder / "text.gz") as file:
            found = file.read()
            if data.startswith(b"\x1f\x8b"):
                assert found == gzip.decompress(data)

    return check


GZIPS = [
    gzip.compress(PLAIN),
    gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN),
    gzip.compress(b""),
    zlib.compressobj(wbits=31).compress(PLAIN * 3) + b"",
    gzip.compress(bytes(300_000)),
]


def check_zstd(folder):
    def check(data):
        (folder / "text.zst").write_bytes(data)
        with only(InputError), open_decompressed(folder / "text.zst") as file:
            found = b"".join(iter(lambda: file.read(1 << 14), b""))
            if data.startswith(b"\x28\xb5\x2f\xfd"):
                library = zstandard.ZstdDecompressor(max_window_size=1 << 31)
                reader = library.stream_reader(io.BytesIO(data), read_across_frames=True)
                assert found == reader.read()

    return check


SKIPPED = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
ZSTDS = [
    zstandard.compress(PLAIN),
    zstandard.ZstdCompressor(write_checksum=True).compress(PLAIN),
    zstandard.compress(PLAIN[:99]) + SKIPPED + zstandard.compress(PLAIN),
    SKIPPED + zstandard.ZstdCompressor(write_content_size=False).compress(PLAIN),
    zstandard.compress(bytes(300_000)),
    zstandard.compress(b""),
]


def check_table(ending, read):
    def of_folder(folder):
        def check(data):
            (folder / f"rows{ending}").write_bytes(data)
            with only(InputError):
                read(folder / f"rows{ending}")

        return check

    return of_folder


def features_and_counts(path):
    for read in (read_features, read_row_counts):
        with only(InputError):
            found = read(path)
            assert np.isfinite(found.matrix.data).all()
            assert found.matrix.shape[0] == len(found.rows)


def long_form(path):
    found = read_long_form([str(path)], Columns(("row", "word"), "count"), Form())
    assert all(len(names.numbers) == len(found) for names in found.names)
    assert np.isfinite(found.weights).all()


def csv_of(*header):
    lines = [
        ",".join(header),
        *(f'"{one}, {one}",{number},{number}.5' for number, one in enumerate(WORDS)),
    ]
    return "\n".join(lines).encode()


CSVS = [
    csv_of("row", "feature", "value"),
    csv_of("row", "word", "count"),
    b"row,word,count\na,b,1\n",
]


def parquet_of(*header, **how):
    columns = [WORDS, WORDS[::-1], [float(number) for number in range(len(WORDS))]]
    table = pyarrow.table(dict(zip(header, columns, strict=True)))
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, **how)
    return file.getvalue()


PARQUETS = [
    parquet_of("row", "word", "count"),
    parquet_of("row", "word", "count", compression="zstd"),
    parquet_of("row", "feature", "value", compression="none", use_dictionary=False),
]


def npz_of(save, **changed):
    arrays = {
        "data": np.ones(3),
        "indices": np.array([0, 1, 1], np.int32),
        "indptr": np.array([0, 2, 3], np.int32),
        "shape": np.array([2, 2]),
        "rows": np.array(["a", "b"]),
        "names": np.array(["x", "y"]),
    }
    file = io.BytesIO()
    save(file, **arrays | changed)
    return file.getvalue()


NPZS = [
    npz_of(np.savez),
    npz_of(np.savez_compressed),
    npz_of(np.savez, shape=np.array([2, 1 << 40])),
    npz_of(np.savez, indptr=np.array([0, -5, 3])),
    npz_of(np.savez, data=np.array(["1", "2", "3"])),
    npz_of(np.savez, format=np.array(b"csr"), data=np.array([np.nan, 1, 1])),
]


def check_word2vec(folder):
    """What is exported is read by gensim as it was, or refused with nothing written."""
    from gensim.models import KeyedVectors

    def vectors_of(words):
        size = len(words)
        chance = np.random.default_rng(size)
        x, u = (chance.standard_normal((size, 3)).astype(np.float32) for _ in range(2))
        vocabulary = Vocabulary(words, np.ones(size))
        return Vectors(vocabulary, x, u, u[:, 0], np.full(size, 1 / size), PlainWeighting(), {})

    def check(case):
        words, ending = case
        path = folder / f"words{ending}"
        path.unlink(missing_ok=True)
        with only(InputError):
            vectors = vectors_of(words)
            try:
                export(vectors, path)
            except InputError:
                assert not path.exists()
                raise
            read = KeyedVectors.load_word2vec_format(path, binary=ending == ".bin")
            assert read.index_to_key == vectors.index_to_key
            np.testing.assert_array_equal(read.vectors, vectors.matrix("embedding"))

    return check


def read_vectors(path):
    names, rows = read_word2vec(path)
    assert len(names) == len(rows) == len(set(names))
    assert np.isfinite(rows).all()


VECTORS = [
    b"3 2\nsun 1 2\nthe moon 3 4.5\nstar -1e-3 0\n",
    "ривер .5 .25\nfish 1 2\n".encode(),
    b"1 999999999999\na 1 2\n",
    b"99999999999999999999999 2\na 1 2\n",
    b"9" * 5000 + b" 2\na 1 2\n",
    b"a " + b"1 " * 3000 + b"1\n" + b"b 1\n" * 3000,
]


def run_files(folder):
    """The files of a run, without what is for people."""
    texts = [["sun", "moon", "star"], ["dog", "cat", "sun"]] * 9
    model = e2v.Exact2Vec(vector_size=2, epochs=1, min_count=1, held_out=0.2, rare=1).fit(texts)
    model.save(folder / "run")
    left_out = {"manifest.json", "report.html"}
    return {
        path.name: path.read_bytes()
        for path in (folder / "run").iterdir()
        if path.name not in left_out
    }


def check_run(folder, files):
    """A run with one file damaged and its digests right loads, or is refused at once."""

    def check(case):
        name, data = case
        with contextlib.suppress(FileNotFoundError):
            for path in (folder / "damaged").iterdir():
                path.unlink()
            (folder / "damaged").rmdir()
        with run_folder.create(folder / "damaged", kind="run") as part:
            for other, content in files.items():
                (part / other).write_bytes(data if other == name else content)
        for load in (e2v.load, Counts.load):
            with only(CorruptFileError, InputError):
                found = load(folder / "damaged")
                if load is e2v.load:
                    found.most_similar(found.index_to_key[0], topn=1)

    return check
