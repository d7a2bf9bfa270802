"""What the service says of itself as a whole in `/openapi.json`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

__all__ = ["describe_access"]

_SCHEME = "token"


def describe_access(app: FastAPI, *, open_paths: frozenset[str]) -> None:
    """Have the description say which requests need the service's token, if it has one."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            description = describe()
            schemes = description.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes[_SCHEME] = {
                "type": "http",
                "scheme": "bearer",
                "description": "The service's token; needed only where the operator has set one.",
            }
            for path, operations in description["paths"].items():
                for operation in operations.values():
                    operation["security"] = [] if path in open_paths else _needed(app)
            app.openapi_schema = description
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _needed(app: FastAPI) -> list[dict[str, list[str]]]:
    return [{_SCHEME: []}] if app.state.settings.token is not None else [{}, {_SCHEME: []}]
