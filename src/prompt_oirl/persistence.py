"""Fitted objects as JSON and plain arrays: what pickle does, for a list of known types and without running anything.

A value is packed into a tree of JSON values, with its arrays beside it. An estimator is its parameters and its fitted
attributes (those ending in `_`), a dataclass its fields. Types are named, and a name is looked up in the list that the
reader gives: a file can make nothing but those.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator

from prompt_oirl.errors import ArtifactError, PromptOIRLError

__all__ = ["Arrays", "Types", "pack", "unpack"]

Arrays = dict[str, NDArray[Any]]
Types = Mapping[str, type]
"""The types that may be packed and unpacked, by name."""

_TYPE, _ARRAY, _SPARSE, _TUPLE, _SET, _MAP = "$type", "$array", "$sparse", "$tuple", "$set", "$map"


def pack(value: Any, types: Types) -> tuple[Any, Arrays]:
    """Return the JSON tree of a value, and its arrays by name.

    Raises:
        ArtifactError: Something in it is of a type that is not listed.
    """
    arrays: Arrays = {}
    return _pack(value, types, arrays, "root"), arrays


def _pack(value: Any, types: Types, arrays: Arrays, path: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise ArtifactError(f"{path} is an array of objects and cannot be saved without pickle")
        arrays[path] = value
        return {_ARRAY: path}
    if isinstance(value, csr_matrix):
        parts = {"data": value.data, "indices": value.indices, "indptr": value.indptr, "shape": value.shape}
        return {_SPARSE: {name: _pack(part, types, arrays, f"{path}/{name}") for name, part in parts.items()}}
    if isinstance(value, list | tuple | frozenset):
        items = sorted(value) if isinstance(value, frozenset) else value
        packed = [_pack(item, types, arrays, f"{path}/{i}") for i, item in enumerate(items)]
        return packed if isinstance(value, list) else {_TUPLE if isinstance(value, tuple) else _SET: packed}
    if isinstance(value, Mapping):
        return {
            _MAP: [
                [
                    _pack(part, types, arrays, f"{path}/{i}/{side}")
                    for side, part in zip(("key", "value"), item, strict=True)
                ]
                for i, item in enumerate(value.items())
            ]
        }
    return {_TYPE: _type_name(value, types), **_pack_parts(value, types, arrays, path)}


def _type_name(value: Any, types: Types) -> str:
    name = type(value).__name__
    if types.get(name) is not type(value):
        raise ArtifactError(
            f"a {name} cannot be saved: known are {', '.join(sorted(types))}. Use one of these, or keep the training "
            "logs and train again where it is needed"
        )
    return name


def _pack_parts(value: Any, types: Types, arrays: Arrays, path: str) -> dict[str, Any]:
    return {
        kind: {name: _pack(part, types, arrays, f"{path}/{name}") for name, part in parts.items()}
        for kind, parts in _parts(value).items()
    }


def _parts(value: Any) -> dict[str, dict[str, Any]]:
    if isinstance(value, BaseEstimator):
        fitted = {name: part for name, part in vars(value).items() if name.endswith("_") and not name.startswith("_")}
        return {"parameters": value.get_params(deep=False), "fitted": fitted}
    if is_dataclass(value):
        return {"fields": {field.name: getattr(value, field.name) for field in fields(value) if field.init}}
    raise ArtifactError(f"a {type(value).__name__} is neither an estimator nor a dataclass, and cannot be saved")


def unpack(tree: Any, arrays: Mapping[str, NDArray[Any]], types: Types) -> Any:
    """Return the value that `pack` made a tree and arrays of.

    Raises:
        ArtifactError: The tree names an unknown type or array, or does not fit the type it names.
    """
    if isinstance(tree, list):
        return [unpack(item, arrays, types) for item in tree]
    if not isinstance(tree, dict):
        return tree
    try:
        if _ARRAY in tree:
            return arrays[tree[_ARRAY]]
        if _SPARSE in tree:
            parts = {name: unpack(part, arrays, types) for name, part in tree[_SPARSE].items()}
            return _sparse(**parts)
        if _TUPLE in tree:
            return tuple(unpack(item, arrays, types) for item in tree[_TUPLE])
        if _SET in tree:
            return frozenset(unpack(item, arrays, types) for item in tree[_SET])
        if _MAP in tree:
            return {unpack(key, arrays, types): unpack(item, arrays, types) for key, item in tree[_MAP]}
        return _make(tree, arrays, types)
    except ArtifactError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError, PromptOIRLError) as error:
        raise ArtifactError(
            f"the saved state is damaged or of another version: {error!r}; train and save again"
        ) from error


def _sparse(data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], shape: tuple[int, int]) -> csr_matrix:
    matrix = csr_matrix((data, indices, indptr), shape=shape)
    matrix.check_format(full_check=True)  # products with a matrix whose indices are out of range read foreign memory
    return matrix


def _make(tree: dict[str, Any], arrays: Mapping[str, NDArray[Any]], types: Types) -> Any:
    if tree[_TYPE] not in types:
        raise ArtifactError(
            f"a part of the saved state is a {tree[_TYPE]!r:.60}, which is not known here: it is damaged or was saved "
            "by a later version of prompt-oirl; install that, or train and save again"
        )
    known = types[tree[_TYPE]]

    def part(kind: str) -> dict[str, Any]:
        return {name: unpack(item, arrays, types) for name, item in tree[kind].items()}

    if "fields" in tree:
        return known(**part("fields"))
    estimator = known(**_accepted(known, part("parameters")))
    for name, value in part("fitted").items():
        if not name.endswith("_") or name.startswith("_"):
            raise ValueError(f"{name!r} is no fitted attribute")
        setattr(estimator, name, value)
    return estimator


def _accepted(known: type, parameters: dict[str, Any]) -> dict[str, Any]:
    unknown = set(parameters) - set(inspect.signature(known).parameters)
    if unknown:
        raise ValueError(f"{known.__name__} has no parameters {sorted(unknown)}")
    return parameters
