"""Read `.npy` files: plain arrays, and the release's pickled ones through an unpickler that runs nothing.

The release stores dictionaries of arrays with `numpy.save`, that is, as pickles, and a pickle can call anything. Here
every global that a pickle asks for is looked up in a table of a few names, those that arrays, bytes and sets are stored
with, and each stands for a small checked function of this module: no function of NumPy is ever called with what a file
says. Arrays of numbers, booleans and texts, and plain containers, come through; all else is an error.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from prompt_oirl.errors import FileFormatError
from prompt_oirl.sources.text_file import check_file

__all__ = ["read_array", "read_object"]

_PLAIN_TYPE = re.compile(r"\|?[?biufcSUO]\d*")
_DAMAGED_PICKLE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What unpickling damaged bytes may raise; the pickle module names the first and says that there are others."""


def read_array(path: Path | str, *, shape: tuple[int, ...] | None = None) -> NDArray[np.generic]:
    """Read a plain array; pickled objects are refused.

    Args:
        path: The `.npy` file.
        shape: The shape that it must have, if that is known.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: It is damaged, holds objects, or has another shape.
    """
    path = check_file(Path(path))
    try:
        array: NDArray[np.generic] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise FileFormatError(path, f"this is no plain .npy array: {error}") from error
    if not isinstance(array, np.ndarray):
        raise FileFormatError(path, f"an .npy array is expected, got {type(array).__name__}")
    if shape is not None and array.shape != shape:
        raise FileFormatError(path, f"the array has shape {array.shape}, expected {shape}")
    return array


def read_object(path: Path | str) -> object:
    """Read the object that `numpy.save` pickled into a `.npy` file, if it is made of arrays and plain containers.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: It is damaged, holds no single object, or asks for anything else, which is named.
    """
    path = check_file(Path(path))
    with path.open("rb") as file:
        _check_header(path, file)
        array = _unpickle(path, file.read())
    if not isinstance(array, np.ndarray) or array.shape != ():
        raise FileFormatError(path, f"one pickled object is expected, got {type(array).__name__}")
    found: object = array[()]
    return found


def _check_header(path: Path, file: BinaryIO) -> None:
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    except ValueError as error:
        raise FileFormatError(path, f"the .npy header cannot be read: {error}") from error
    if dtype.kind != "O" or shape != ():
        raise FileFormatError(path, f"one pickled object is expected, got an array of {dtype} with shape {shape}")


def _unpickle(path: Path, content: bytes) -> object:
    try:
        return _finished(_ArrayUnpickler(io.BytesIO(content)).load(), {})
    except _Forbidden as error:
        raise FileFormatError(
            path,
            f"the pickle asks for {error}, and only NumPy arrays and plain containers are read; "
            "nothing was run. Do not open this file with numpy.load(allow_pickle=True)",
        ) from error
    except _DAMAGED_PICKLE as error:
        raise FileFormatError(path, f"the pickle is damaged: {type(error).__name__}: {error}") from error


class _Forbidden(pickle.UnpicklingError):
    """A pickle asks for something that is not in the table."""


class _PlainType:
    """A NumPy type while it is unpickled: only its code and byte order are taken from the file."""

    def __init__(self, code: str, *_: object) -> None:
        if not isinstance(code, str) or not _PLAIN_TYPE.fullmatch(code):
            raise _Forbidden(f"the type {code!r}")
        self.dtype: np.dtype[np.generic] = np.dtype(code)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _, byte_order, *structure = state
        if structure[:3] != [None, None, None] or byte_order not in ("<", ">", "|", "="):
            raise _Forbidden("a structured type")
        self.dtype = self.dtype.newbyteorder(byte_order)


class _PlainArray:
    """An array while it is unpickled."""

    def __init__(self) -> None:
        self.state: tuple[tuple[int, ...], np.dtype[np.generic], bool, bytes | list[object]] | None = None

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _, shape, plain_type, is_fortran, content = state
        is_shape = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
        if not is_shape or not isinstance(plain_type, _PlainType) or not isinstance(content, bytes | list):
            raise _Forbidden("an array in an unknown form")
        self.state = (shape, plain_type.dtype, bool(is_fortran), content)  # type: ignore[assignment]

    def finished(self, memo: dict[int, object]) -> NDArray[np.generic]:
        """Return the array itself."""
        if self.state is None:
            raise pickle.UnpicklingError("an array without content")
        shape, dtype, is_fortran, content = self.state
        if isinstance(content, list) != (dtype.kind == "O"):
            raise _Forbidden(f"an array of {dtype} made of {type(content).__name__}")
        if isinstance(content, bytes):
            flat = np.frombuffer(content, dtype)
        else:
            flat = np.empty(len(content), dtype)
            for i, item in enumerate(content):  # one by one: NumPy would spread a list over the array
                flat[i] = _finished(item, memo)
        if dtype.kind == "b" and flat.view(np.uint8).max(initial=0) > 1:
            raise pickle.UnpicklingError("a boolean that is neither 0 nor 1")
        if math.prod(shape) != len(flat):
            raise pickle.UnpicklingError(f"{len(flat)} items for an array of shape {shape}")
        return flat.reshape(shape, order="F" if is_fortran else "C")


class _StandIn:
    """What a pickle gets when it asks for a global: it can be called, and neither looked into nor changed."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., object]) -> None:
        self._call = call

    def __call__(self, *arguments: object) -> object:
        return self._call(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise _Forbidden("a change of a global")


def _refuse_call(*_: object) -> NoReturn:
    raise _Forbidden("a call of numpy.ndarray")


_NDARRAY = _StandIn(_refuse_call)


def _empty_array(of: object, *_: object) -> _PlainArray:
    if of is not _NDARRAY:
        raise _Forbidden("an array of another class")
    return _PlainArray()


def _scalar(of: _PlainType, content: bytes) -> np.generic:
    if not isinstance(of, _PlainType) or of.dtype.kind == "O" or not isinstance(content, bytes):
        raise _Forbidden("a scalar that is no number, boolean or text")
    (value,) = np.frombuffer(content, of.dtype)
    scalar: np.generic = value
    return scalar


def _latin1(text: str, encoding: str) -> bytes:
    """Return bytes as protocol 2 stores them: as a text of the same code points."""
    if encoding != "latin1":
        raise _Forbidden(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _empty_bytes(*arguments: object) -> bytes:
    """Return the only bytes that protocol 2 stores as a call."""
    if arguments:
        raise _Forbidden("a call of bytes with an argument")
    return b""


_ADMITTED: Mapping[tuple[str, str], _StandIn] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _StandIn(_PlainType),
    ("_codecs", "encode"): _StandIn(_latin1),
    **{
        (builtins, name): _StandIn(call)
        for builtins in ("builtins", "__builtin__")  # as protocols 3 and 2 write it
        for name, call in (("bytes", _empty_bytes), ("set", set), ("frozenset", frozenset))
    },
    **{
        (f"numpy.{core}.multiarray", name): _StandIn(call)
        for core in ("core", "_core")  # as NumPy 1 and NumPy 2 write it
        for name, call in (("_reconstruct", _empty_array), ("scalar", _scalar))
    },
}


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler for which the table above is all there is."""

    def find_class(self, module: str, name: str) -> _StandIn:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise _Forbidden(f"{module}.{name}") from None

    def persistent_load(self, pid: object) -> NoReturn:
        raise _Forbidden(f"the persistent object {pid!r}")


def _finished(item: object, memo: dict[int, object]) -> object:
    """Return `item` with every array in it made, once each however often it is referred to."""
    if not isinstance(item, _PlainArray | _PlainType | dict | list | tuple | set | frozenset):
        return None if item is None else _checked(item)
    if id(item) not in memo:
        memo[id(item)] = _finish_container(item, memo)
    return memo[id(item)]


def _finish_container(item: object, memo: dict[int, object]) -> object:
    if isinstance(item, _PlainArray):
        return item.finished(memo)
    if isinstance(item, _PlainType):
        return item.dtype
    if isinstance(item, dict):
        return {_finished(key, memo): _finished(value, memo) for key, value in item.items()}
    if isinstance(item, list | tuple | set | frozenset):
        return type(item)(_finished(element, memo) for element in item)
    raise _Forbidden(f"a {type(item).__name__}")


def _checked(item: object) -> object:
    if not isinstance(item, bool | int | float | complex | str | bytes | np.generic):
        raise _Forbidden(f"a {type(item).__name__}")
    return item
