"""A fitted model described for people: its type, what that is, its parameters, and the same of its parts."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["describe"]


def describe(model: object) -> dict[str, Any]:
    """Return a description that JSON can hold.

    A part that was fitted, such as `similarity_`, stands for the parameter that it was made of.
    """
    parts = {name.removesuffix("_"): part for name, part in vars(model).items() if _is_part(name, part)}
    parameters = {name: _plain(value) for name, value in _parameters(model).items() if name not in parts}
    described = {name: describe(part) for name, part in parts.items()}
    made_of = {"made_of": described} if described else {}
    return {"type": type(model).__name__, "what": _first_line(model), "parameters": parameters, **made_of}


def _is_part(name: str, value: object) -> bool:
    return name.endswith("_") and not name.startswith("_") and isinstance(value, BaseEstimator)


def _parameters(model: object) -> dict[str, Any]:
    if isinstance(model, BaseEstimator):
        parameters: dict[str, Any] = model.get_params(deep=False)
        return parameters
    if is_dataclass(model):
        return {field.name: getattr(model, field.name) for field in fields(model) if field.repr}
    return {}


def _first_line(model: object) -> str:
    return (inspect.getdoc(type(model)) or "").partition("\n")[0]


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, BaseEstimator):
        return describe(value)
    return type(value).__name__
