"""zstd files: every frame, skipped ones too, in bounded memory; a damaged one is an error."""

import io
import time
import tracemalloc

import pytest
import zstandard

from exact2vec.errors import InputError
from exact2vec.storage.files import Digesting, decompressed, input_errors_named, open_decompressed

TEXT = b"".join(b"%d bottles of beer on the wall\n" % number for number in range(20_000))
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"comment"


def content(data, size=1 << 16):
    with input_errors_named("memory"), decompressed(Digesting(io.BytesIO(data))) as file:
        return b"".join(iter(lambda: file.read(size), b""))


def packed(data, **settings):
    settings = {"level": 3, "write_checksum": True, "write_content_size": True} | settings
    return zstandard.ZstdCompressor(**settings).compress(data)


def streamed(data, **parameters):
    """Packed without a size in the header, as a pipe is."""
    chosen = zstandard.ZstdCompressionParameters(**parameters)
    compressor = zstandard.ZstdCompressor(compression_params=chosen).compressobj()
    return compressor.compress(data) + compressor.flush()


KINDS = {
    "a frame": packed(TEXT),
    "no checksum": packed(TEXT, write_checksum=False),
    "no size": packed(TEXT, write_content_size=False),
    "a pipe": streamed(TEXT, window_log=17),
    "stored blocks": packed(TEXT, level=-100),
    "two frames": packed(TEXT[:999]) + packed(TEXT[999:]),
    "a skipped frame first": SKIPPABLE + packed(TEXT),
    "skipped frames around": packed(TEXT[:9]) + SKIPPABLE + packed(TEXT[9:]) + SKIPPABLE,
    "an empty frame": packed(b"") + packed(TEXT),
    "a long window": streamed(TEXT, window_log=30, enable_ldm=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_read(kind):
    assert content(KINDS[kind]) == content(KINDS[kind], size=7919) == TEXT


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_is_an_error_or_the_frames_before(kind):
    data, whole = KINDS[kind], 0
    for size in {*range(4, 40), *range(40, len(data), 1 + len(data) // 50), len(data) - 1}:
        try:
            found = content(data[:size])
        except InputError as error:
            assert "cut off or damaged" in str(error)
        else:
            whole += 1
            assert TEXT.startswith(found)
    assert whole <= data.count(zstandard.FRAME_HEADER) + data.count(SKIPPABLE) - 1


def test_flipped_bits_are_noticed_where_there_is_a_checksum():
    for place in range(4, len(KINDS["a frame"]), 997):
        data = bytearray(KINDS["a frame"])
        data[place] ^= 16
        try:
            assert content(bytes(data)) == TEXT
        except InputError as error:
            assert "cut off or damaged" in str(error)


def test_repeated_bytes_take_bounded_memory_and_linear_time(tmp_path):
    seconds = []
    for megabytes in (16, 64):
        path = tmp_path / f"{megabytes}.zst"
        path.write_bytes(streamed(b" " * (megabytes << 20), compression_level=19))
        assert path.stat().st_size < 8 << 10
        tracemalloc.start()
        began, size = time.process_time(), 0
        with open_decompressed(path) as file:
            while data := file.read(1 << 20):
                size += len(data)
        seconds.append(time.process_time() - began)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size == megabytes << 20
        assert peak < 4 << 20
    assert seconds[1] < 16 * seconds[0] + 1


def test_what_stands_behind_the_last_frame_is_an_error():
    with pytest.raises(InputError, match="something behind the last frame"):
        content(packed(TEXT) + b"more")


def test_a_frame_that_holds_other_than_it_states_is_an_error():
    with pytest.raises(InputError, match="a frame states 8 bytes and holds 0"):
        content(b"\x28\xb5\x2f\xfd\x20\x08\x01\x00\x00")
    with pytest.raises(InputError, match="a block has a size that none has"):
        content(b"\x28\xb5\x2f\xfd\x20\x00\x05\x00\x00")
