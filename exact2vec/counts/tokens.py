"""What each character does in a text, and the loop that reduces text to its tokens as bytes."""

import functools
import re
import sys

import numpy as np
from numpy.typing import NDArray

from exact2vec.counts.words import INNER, continuing
from exact2vec.jit import compiled, inlined

BETWEEN, WHITE, LINE_END, LETTER, MARK, INNER_SIGN = range(6)
LINE, PARAGRAPH, FILE = range(3)
DOCUMENT_KINDS = {"line": LINE, "paragraph": PARAGRAPH, "file": FILE}

NOTHING = np.int64(0)  # instead of a code
BLANK = 2  # the place in a reduction's state of: whether the line has been blank so far


@functools.cache
def character_classes(tokens: str, size: int) -> NDArray[np.uint8]:
    """The class of each of the first `size` code points.

    A token holds letters and digits with their marks, and inner signs between them ("words"), or
    all but white space ("space").
    """
    signs = "".join(map(chr, range(size)))
    classes = np.full(size, BETWEEN if tokens == "words" else LETTER, np.uint8)
    if tokens == "words":
        classes[[match.start() for match in re.finditer(r"[^\W_]", signs)]] = LETTER
        for kind, members in ((MARK, continuing()), (INNER_SIGN, INNER)):
            classes[[ord(sign) for sign in members if ord(sign) < size]] = kind
    classes[[match.start() for match in re.finditer(r"\s", signs)]] = WHITE
    classes[ord("\n")] = LINE_END
    return classes


def code_points(text: str) -> NDArray[np.uint8] | NDArray[np.uint32]:
    """The code points of `text`, a byte each where all are ASCII."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def classes_for(codes: NDArray[np.uint8] | NDArray[np.uint32], tokens: str) -> NDArray[np.uint8]:
    """A table of classes that covers `codes`: that of ASCII is small and made at once."""
    return character_classes(tokens, 128 if codes.dtype == np.uint8 else sys.maxunicode + 1)


@inlined
def _put(out, end, code):
    """Append a code point as UTF-8; the new end."""
    if code < 0x80:
        out[end] = code
        return end + 1
    if code < 0x800:
        out[end] = 0xC0 | (code >> 6)
    elif code < 0x10000:
        out[end] = 0xE0 | (code >> 12)
        end += 1
        out[end] = 0x80 | ((code >> 6) & 0x3F)
    else:
        out[end] = 0xF0 | (code >> 18)
        out[end + 1] = 0x80 | ((code >> 12) & 0x3F)
        end += 2
        out[end] = 0x80 | ((code >> 6) & 0x3F)
    out[end + 1] = 0x80 | (code & 0x3F)
    return end + 2


@compiled
def reduce_text(
    codes, classes, documents, limit, state, out, block_ends, block_tokens, block_documents
):
    """The tokens in UTF-8: (bytes written, blocks ended).

    One space stands between tokens, a line end behind each block. A token is a LETTER, then
    letters, marks, and one INNER_SIGN between two letters. A block is a document, cut after each
    `limit` tokens. `codes` must end between tokens. `state` holds the tokens of the open block,
    the number of the document and whether the line is blank.
    """
    end, blocks, in_block, document, blank = 0, 0, state[0], state[1], state[2]
    in_token, waiting = False, NOTHING  # the inner sign that has no letter behind it yet
    for code in codes:
        kind = classes[code]
        if kind == LETTER or (kind == MARK and in_token and waiting == 0):
            if not in_token:
                if in_block == limit:
                    block_ends[blocks], block_tokens[blocks], block_documents[blocks] = (
                        end,
                        in_block,
                        document,
                    )
                    out[end] = 10
                    end += 1
                    blocks += 1
                    in_block = 0
                elif in_block > 0:
                    out[end] = 32
                    end += 1
                in_block += 1
            elif waiting > 0:
                end = _put(out, end, waiting)
            end = _put(out, end, code)
            in_token, waiting, blank = True, NOTHING, 0
            continue
        if kind == INNER_SIGN and in_token and waiting == 0:
            waiting = np.int64(code)  # type: ignore[assignment]
            continue
        in_token, waiting = False, NOTHING
        if kind == LINE_END:
            if documents == LINE or (documents == PARAGRAPH and blank):
                if in_block > 0:
                    block_ends[blocks], block_tokens[blocks], block_documents[blocks] = (
                        end,
                        in_block,
                        document,
                    )
                    out[end] = 10
                    end += 1
                    blocks += 1
                    in_block = 0
                document += 1
            blank = 1
        elif kind != WHITE:
            blank = 0
    state[0], state[1], state[2] = in_block, document, blank
    return end, blocks
