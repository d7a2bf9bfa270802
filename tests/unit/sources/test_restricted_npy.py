from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prompt_oirl.errors import DataNotFoundError, FileFormatError
from prompt_oirl.sources.restricted_npy import read_array, read_object

Save = Callable[[Path, object], Path]

plain_arrays = st.sampled_from(["?", "<i8", ">i4", "<u2", "<f8", ">f4", "<c16", "<U3", "S4"]).flatmap(
    lambda code: hnp.arrays(code, hnp.array_shapes(min_dims=0, max_dims=3, max_side=4))
)
containers = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.sets(st.integers()) | plain_arrays,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def write_pickle(path: Path, content: bytes) -> Path:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    path.write_bytes(header.getvalue() + content)
    return path


def zero_dimensional(found: object) -> np.ndarray:
    array = np.empty((), dtype=object)
    array[()] = found
    return array


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray | np.generic):
        assert isinstance(b, np.ndarray | np.generic)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        return a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@given(found=containers, protocol=st.integers(2, 4), numpy_1=st.booleans())
def test_arrays_and_containers_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, found: object, protocol: int, numpy_1: bool
) -> None:
    pickled = pickle.dumps(zero_dimensional({"found": found}), protocol)
    if numpy_1 and protocol < 4:
        pickled = pickled.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    elif protocol < 4:
        pickled = pickled.replace(b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n")
    path = write_pickle(tmp_path_factory.getbasetemp() / "found.npy", pickled)
    assert same(read_object(path), {"found": found})


def test_fortran_order_scalars_sets_and_arrays_of_objects(tmp_path: Path, save_object: Save) -> None:
    objects = np.empty(2, dtype=object)
    objects[:] = [{"a": 1}, [1, 2]]
    found = {
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.float64(1.5),
        "set": frozenset({1, 2}),
        "objects": objects,
        "type": np.dtype("<f4"),
    }
    read = read_object(save_object(tmp_path / "a.npy", found))
    assert isinstance(read, dict)
    np.testing.assert_array_equal(read["fortran"], found["fortran"])
    assert (read["scalar"], read["set"], read["type"]) == (1.5, {1, 2}, np.dtype("<f4"))
    assert read["objects"].tolist() == [{"a": 1}, [1, 2]]


def test_an_array_that_is_referred_to_twice_is_made_once(tmp_path: Path, save_object: Save) -> None:
    array = np.arange(3)
    read = read_object(save_object(tmp_path / "a.npy", {"a": array, "b": array}))
    assert isinstance(read, dict)
    assert read["a"] is read["b"]


class Reduces:
    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


def test_a_pickle_that_calls_the_system_is_refused_and_nothing_runs(tmp_path: Path, save_object: Save) -> None:
    marker = tmp_path / "marker"
    path = save_object(tmp_path / "evil.npy", {"a": Reduces(os.system, f"touch '{marker}'")})
    with pytest.raises(FileFormatError, match=r"evil\.npy.*\.system") as caught:
        read_object(path)
    assert not marker.exists()
    assert caught.value.path == path
    np.load(path, allow_pickle=True)  # the attack is a real one: NumPy runs it
    assert marker.exists()


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (Reduces(eval, "1"), "eval"),
        (Reduces(getattr, "a", "upper"), "getattr"),
        (Reduces(np.load, "a.npy"), "load"),
        (Reduces(np.frombuffer, b"a"), "frombuffer"),
        (Reduces(np.ndarray, (10**12,)), r"a call of numpy\.ndarray"),
        (Reduces(bytearray, 10**12), "bytearray"),
        (np.ma.array([1]), "MaskedArray|_mareconstruct"),
        (np.array([(1, None)], dtype=[("a", "i4"), ("b", "O")]), "the type 'V"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "the type 'M8'"),
        (np.dtype([("a", "i4")]), "the type 'V4'"),
        (Path("a"), "Path"),
        (complex(1, 2), "complex"),
        (np.exp, "exp"),
    ],
)
def test_everything_else_is_refused_by_name(tmp_path: Path, save_object: Save, found: object, named: str) -> None:
    with pytest.raises(FileFormatError, match=named):
        read_object(save_object(tmp_path / "a.npy", {"a": found}))


RECONSTRUCT = b"cnumpy._core.multiarray\n_reconstruct\n"
NDARRAY = b"cnumpy\nndarray\n"
BOOL = b"cnumpy\ndtype\n(X\x02\x00\x00\x00b1tR"
EMPTY = RECONSTRUCT + b"(" + NDARRAY + b"(I0\ntC\x01btR"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (RECONSTRUCT + b"}X\x01\x00\x00\x00aK\x01sb.", "a change of a global"),
        (NDARRAY + b"N}X\x01\x00\x00\x00aK\x01s\x86b.", "a change of a global"),
        (RECONSTRUCT + b"(" + RECONSTRUCT + b"(I0\ntC\x01btR.", "an array of another class"),
        (RECONSTRUCT + b".", "_StandIn"),
        (EMPTY + b".", "without content"),
        (EMPTY + b"(K\x01(I2\nt" + BOOL + b"I00\nC\x01\x01tb.", "1 items for an array of shape"),
        (EMPTY + b"(K\x01(I1\nt" + BOOL + b"I00\nC\x01\x07tb.", "neither 0 nor 1"),
        (EMPTY + b"(K\x01(I-1\nt" + BOOL + b"I00\nC\x01\x01tb.", "an unknown form"),
        (EMPTY + b"(K\x01(I1\nt" + BOOL + b"I00\n](K\x01etb.", "made of list"),
        (EMPTY + b"(K\x01(I1\ntNI00\nC\x01\x01tb.", "an unknown form"),
        (BOOL + b"(K\x03X\x01\x00\x00\x00|NX\x01\x00\x00\x00aNK\x01K\x01K\x00tb.", "a structured type"),
        (b"cnumpy._core.multiarray\nscalar\n(K\x01K\x02tR.", "a scalar"),
        (b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00zlitR.", "the encoding 'zli'"),
        (b"cbuiltins\nbytes\n(I1000000000000\ntR.", "a call of bytes"),
        (b"Pname\n.", "persistent object"),
        (b"]q\x00h\x00a.", "RecursionError"),
        (b"", "damaged"),
        (b"\xff\xff", "damaged"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", "damaged"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "damaged"),
    ],
)
def test_pickles_written_by_hand_are_refused(tmp_path: Path, content: bytes, named: str) -> None:
    with pytest.raises(FileFormatError, match=named):
        read_object(write_pickle(tmp_path / "a.npy", content))


def test_the_hand_written_array_is_sound_where_its_parts_are(tmp_path: Path) -> None:
    array = EMPTY + b"(K\x01(I1\nt" + BOOL + b"I00\nC\x01\x01tb"
    outer = EMPTY + b"(K\x01(t" + b"cnumpy\ndtype\n(X\x02\x00\x00\x00O8tR" + b"I00\n](" + array + b"etb."
    read = read_object(write_pickle(tmp_path / "a.npy", outer))
    assert isinstance(read, np.ndarray)
    assert read.tolist() == [True]


def test_references_that_double_at_each_step_cost_nothing(tmp_path: Path, save_object: Save) -> None:
    found: list[object] = []
    for _ in range(200):
        found = [found, found]
    assert read_object(save_object(tmp_path / "a.npy", {"a": found}))


@given(st.binary(max_size=60))
def test_any_bytes_give_a_file_format_error_or_an_object(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = write_pickle(tmp_path_factory.getbasetemp() / "any.npy", content)
    with pytest.raises(FileFormatError):
        read_object(path)


def test_every_truncation_is_an_error(tmp_path: Path, save_object: Save) -> None:
    content = save_object(tmp_path / "whole.npy", {"a": np.arange(3)}).read_bytes()
    path = tmp_path / "cut.npy"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=r"cut\.npy"):
            read_object(path)


def test_a_plain_array_is_no_object_and_an_object_no_plain_array(tmp_path: Path, save_object: Save) -> None:
    np.save(tmp_path / "plain.npy", np.arange(3))
    with pytest.raises(FileFormatError, match="an array of int64"):
        read_object(tmp_path / "plain.npy")
    with pytest.raises(FileFormatError, match="no plain"):
        read_array(save_object(tmp_path / "object.npy", {"a": 1}))


def test_plain_arrays_are_read_with_their_shape_checked(tmp_path: Path) -> None:
    path = tmp_path / "plain.npy"
    np.save(path, np.arange(3))
    assert read_array(path, shape=(3,)).tolist() == [0, 1, 2]
    with pytest.raises(FileFormatError, match=r"shape \(3,\), expected \(4,\)"):
        read_array(path, shape=(4,))


@pytest.mark.parametrize("length", [0, 5, 40, 130])
def test_truncated_plain_arrays_are_errors(tmp_path: Path, length: int) -> None:
    np.save(tmp_path / "whole.npy", np.arange(3))
    path = tmp_path / "cut.npy"
    path.write_bytes((tmp_path / "whole.npy").read_bytes()[:length])
    with pytest.raises(FileFormatError, match=r"cut\.npy"):
        read_array(path)


def test_an_archive_is_no_plain_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.arange(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(FileFormatError, match="NpzFile"):
        read_array(tmp_path / "a.npy")


@pytest.mark.parametrize("read", [read_array, read_object])
def test_missing_files_are_not_found(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(DataNotFoundError, match=r"none\.npy"):
        read(tmp_path / "none.npy")
