"""A FastAPI endpoint that reads a JSON body and does nothing: `python benchmarks/empty_endpoint.py PORT`."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI

app = FastAPI(openapi_url=None)


@app.get("/readyz")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/v1/recommend")
async def empty(body: dict[str, Any]) -> dict[str, bool]:
    return {"done": bool(body)}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
