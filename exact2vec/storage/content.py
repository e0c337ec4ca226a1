"""Whether what was read of a run makes sense: types, numbers that are finite, equal lengths."""

import functools
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact2vec.errors import CorruptFileError, Exact2VecError
from exact2vec.storage.run_folder import Run

Found = typing.TypeVar("Found")
Reader = typing.ParamSpec("Reader")
WRONG = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)


def why_not(value: Any, hint: Any) -> str:
    """Why a value is not of a type that a field may have; nothing where it is."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        reasons = [why_not(value, one) for one in typing.get_args(hint)]
        return "" if "" in reasons else reasons[0]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is np.ndarray:
        return _why_no_array(value, typing.get_args(arguments[1])[0])
    if origin is list:
        inner = arguments[0]
        whole = isinstance(value, list) and not any(why_not(one, inner) for one in value)
        return "" if whole else f"should be a list of {_named_type(inner)}"
    wanted: Any = {float: (int, float)}.get(hint, origin or hint)
    good = wanted is Any or (isinstance(value, wanted) and (hint is bool) == (type(value) is bool))
    return "" if good else f"should be {_named_type(hint)}; got {str(value)[:40]!r}"


def _why_no_array(value: Any, kind: Any) -> str:
    if not isinstance(value, np.ndarray):
        return "" if _are_numbers(value) else "should be a list of numbers"
    if value.dtype != np.dtype(kind):
        return f"should hold {np.dtype(kind)}; it holds {value.dtype}"
    return "" if np.isfinite(value).all() else "holds numbers that are not finite"


def _are_numbers(value: Any) -> bool:
    if not isinstance(value, list) or not set(map(type, value)) <= {int, float}:
        return False
    return np.array(value).dtype.kind in "iuf"  # integers beyond 64 bits are objects


def _named_type(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint))


def content_checked(read: Callable[Reader, Found]) -> Callable[Reader, Found]:
    """`read` with CorruptFileError for content that is as written, but makes no sense."""

    @functools.wraps(read)
    def reading(*arguments: Reader.args, **named: Reader.kwargs) -> Found:
        try:
            return read(*arguments, **named)
        except CorruptFileError:
            raise
        except WRONG as error:
            if isinstance(error, Exact2VecError) and isinstance(error.__cause__, PermissionError):
                raise
            run = next(one for one in arguments if isinstance(one, Run))
            said = f"{type(error).__name__}: {error}" if type(error) in WRONG else str(error)
            raise CorruptFileError(f"{run.folder}: its content makes no sense: {said}") from error

    return reading


def refuse_uneven(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """CorruptFileError where vectors are not of one length, or a share is not above 0."""
    shapes = {name: array.shape for name, array in arrays.items()}
    dim = shapes["inputs"][1:]
    tails = [shapes[name][1:] for name in ("outputs", "bias", "unigram")]
    if len(dim) != 1 or tails != [dim, (), ()] or not (arrays["unigram"] > 0).all():
        raise CorruptFileError(
            f"{path}: wanted vectors of one length, and a bias and a share above 0 for each word; "
            f"got {shapes}"
        )


def refuse_other_maps(path: Path, maps: tuple[NDArray[Any], NDArray[Any]]) -> None:
    """CorruptFileError where maps from features are no matrices of one shape."""
    shapes = {one.shape for one in maps}
    if len(shapes) != 1 or any(one.ndim != 2 or _why_no_array(one, np.float32) for one in maps):
        raise CorruptFileError(
            f"{path}: wanted two maps of one shape, float32 and finite; got {shapes}"
        )
