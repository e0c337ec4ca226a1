"""What a file is by its first bytes: text, or something that must not be read as text."""

import codecs
import re

from exact2vec.errors import InputError

HEAD_BYTES = 4096  # what is looked at
CONTROL_SHARE = 0.02  # of the head; text has tabs, line ends, escapes, and a stray code at most
FEW_CODES = 60  # no more than these are no sign of anything
CONTROL_CODES = [*range(9), *range(14, 27), *range(28, 32)]
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)

MARKS: tuple[tuple[str, int, bytes], ...] = (
    ("a 7z archive", 0, b"7z\xbc\xaf\x27\x1c"),
    ("a rar archive", 0, b"Rar!\x1a\x07"),
    ("xz", 0, b"\xfd7zXZ\0"),
    ("lzip", 0, b"LZIP\x01"),
    ("lz4", 0, b"\x04\x22\x4d\x18"),
    ("snappy", 0, b"\xff\x06\0\0sNaPpY"),
    ("compress (.Z)", 0, b"\x1f\x9d"),
    ("gzip within another compression", 0, b"\x1f\x8b\x08"),
    ("zstd within another compression", 0, b"\x28\xb5\x2f\xfd"),
    ("an ar archive", 0, b"!<arch>\n"),
    ("a cabinet", 0, b"MSCF\0\0\0\0"),
    ("an old office file (doc, xls, ppt)", 0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("arrow", 0, b"ARROW1\0\0"),
    ("ORC", 0, b"ORC\x08"),
    ("feather", 0, b"FEA1\0"),
    ("avro", 0, b"Obj\x01"),
    ("HDF5", 0, b"\x89HDF\r\n\x1a\n"),
    ("an array of numpy (npy)", 0, b"\x93NUMPY"),
    ("a database of SQLite", 0, b"SQLite format 3\0"),
    ("a pickle", 0, b"ccopy_reg\n"),
    ("a picture (PNG)", 0, b"\x89PNG\r\n\x1a\n"),
    ("a picture (JPEG)", 0, b"\xff\xd8\xff"),
    ("a picture (TIFF)", 0, b"II*\0"),
    ("a picture (TIFF)", 0, b"MM\0*"),
    ("sound (MP3)", 0, b"ID3\x03"),
    ("sound (MP3)", 0, b"ID3\x04"),
    ("sound (Ogg)", 0, b"OggS\0"),
    ("a film (Matroska)", 0, b"\x1aE\xdf\xa3"),
    ("a program", 0, b"\x7fELF"),
    ("a program", 0, b"\xca\xfe\xba\xbe"),
    ("a program", 0, b"MZ\x90\0"),
    ("a program", 0, b"\0asm"),
)
PATTERNS = (  # where letters alone begin a file, what follows tells it from text that names it
    ("a tar archive", re.compile(rb".{257}ustar(?:\0|  \0)", re.S)),
    ("bzip2", re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")),
    ("RTF", re.compile(rb"\{\\rtf\d")),
    ("PDF", re.compile(rb"%PDF-\d\.\d\s*[\r\n%]")),
    ("PostScript", re.compile(rb"%!PS(?:-Adobe-\d|\s*[\r\n])")),
    ("DjVu", re.compile(rb"AT&TFORM.{4}DJV", re.S)),
    ("parquet", re.compile(rb"PAR1[\0-\x08\x0e-\x1f]")),
    ("GGUF", re.compile(rb"GGUF(?:[\1-\x08]\0\0\0|\0\0\0[\1-\x08])")),
    ("a picture (GIF)", re.compile(rb"GIF8[79]a.{0,60}\0", re.S)),
    ("a picture (WebP)", re.compile(rb"RIFF.{4}WEBPVP8", re.S)),
    ("sound (WAV)", re.compile(rb"RIFF.{4}WAVEfmt ", re.S)),
    ("sound (FLAC)", re.compile(rb"fLaC[\0\x80]\0\0\x22")),
    ("a film (MP4)", re.compile(rb"\0.{3}ftyp", re.S)),
    ("a picture (BMP)", re.compile(rb"BM.{4}\0{4}", re.S)),
    ("a pickle", re.compile(rb"\x80[\x02-\x05]|\((?:lp|dp)\d+\n", re.S)),
    ("a cpio archive", re.compile(rb"07070[127][0-7A-Fa-f]{70}")),
    ("safetensors", re.compile(rb".{3}\0{5}\{\s*\"", re.S)),
)
ZIPS = (
    ("a Word file (docx)", rb"word/"),
    ("an Excel file (xlsx)", rb"xl/"),
    ("a PowerPoint file (pptx)", rb"ppt/"),
    ("an office file (docx, xlsx, pptx)", rb"\[Content_Types\]\.xml|_rels/"),
    ("an OpenDocument file (odt, ods)", rb"mimetypeapplication/vnd\.oasis"),
    ("a book (epub)", rb"mimetypeapplication/epub"),
    ("arrays of numpy (npz)", rb"^PK\x03\x04.{26}[^\0]{1,200}\.npy"),
    ("a file of torch (a pickle in a zip)", rb"/data\.pkl"),
)


def refuse_other_than_text(head: bytes, name: str, encoding: str) -> None:
    """InputError where the head of a file is of an archive, a picture, or other than `encoding`.

    What it is comes before any guess of an encoding.
    """
    if (other := no_text(head)) is not None:
        raise InputError(
            f"{name} looks like {other}, which is not read here; "
            "make plain text, .gz or .zst of it first"
        )
    if encoding.startswith(("utf-16", "utf-32")):
        return
    for marks, marked in ((UTF32_MARKS, "utf-32"), (UTF16_MARKS, "utf-16")):
        if head.startswith(marks):
            raise InputError(f"{name} looks like {marked.upper()}; use --encoding {marked}")
    if (wide := _wide_encoding(head)) is not None:
        raise InputError(
            f"{name} looks like {wide[:6].upper()} without a byte order mark; use --encoding {wide}"
        )
    codes = sum(map(head.count, CONTROL_CODES))
    if codes > max(FEW_CODES, CONTROL_SHARE * len(head)) and _keeps_ascii(encoding):
        raise InputError(
            f"{name} holds {codes:,} control codes in its first {len(head):,} bytes: "
            "not text; make plain text, .gz or .zst of it first"
        )


def no_text(head: bytes) -> str | None:
    """What the head is of, where that is known and is no text."""
    if head[:4] in (b"PK\3\4", b"PK\5\6", b"PK\7\x08"):
        found = (what for what, sign in ZIPS if re.search(sign, head, re.S))
        return next(found, "a zip archive")
    for what, place, mark in MARKS:
        if head.startswith(mark, place):
            return what
    for what, pattern in PATTERNS:
        if pattern.match(head):
            return what
    return "a tar archive" if _is_old_tar(head) else None


def _is_old_tar(head: bytes) -> bool:
    """Whether a header of 512 bytes states its own sum, as each of tar does."""
    stated = re.fullmatch(rb"\s*([0-7]{1,7})[\0 ]*", head[148:156])
    if len(head) < 512 or stated is None:
        return False
    return int(stated[1], 8) == sum(head[:148]) + 8 * 32 + sum(head[156:512])


def _wide_encoding(head: bytes) -> str | None:
    """The encoding of 16 or 32 bits that the places of the NULs in the head tell."""
    four = [_zero_share(head[place::4]) for place in range(4)]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if min(four[2], four[3]) > 0.9 > four[0]:
        return "utf-32-le"
    if min(four[0], four[1]) > 0.9 > four[3]:
        return "utf-32-be"
    for places, others, found in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        mostly = places > len(head) / 5 > others
        some = others == 0 and places > max(3, 0.005 * len(head)) and not _is_utf8(head)
        if mostly or some:
            return found
    return None


def _is_utf8(head: bytes) -> bool:
    """Whether it reads as text in UTF-8, apart from NULs."""
    codes = sum(map(head.count, CONTROL_CODES)) - head.count(0)
    return head.decode("utf-8", "replace").count("\ufffd") < 3 and codes < 0.1 * len(head)


def _zero_share(data: bytes) -> float:
    return data.count(0) / len(data) if data else 0.0


def _keeps_ascii(encoding: str) -> bool:
    return "a b\n".encode(encoding, "replace") == b"a b\n"
