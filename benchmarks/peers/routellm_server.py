"""RouteLLM's server with its `random` router on loopback: `python routellm_server.py PORT UPSTREAM`.

Its own command listens on all addresses, and makes an OpenAI client when imported, for which a key has to be set.
"""

from __future__ import annotations

import os
import sys

import uvicorn

os.environ["OPENAI_API_KEY"] = "none"
port, upstream = int(sys.argv[1]), sys.argv[2]
models = ["--strong-model", "openai/fixed", "--weak-model", "openai/fixed"]
sys.argv[1:] = ["--routers", "random", "--base-url", upstream, "--api-key", "none", *models]

if __name__ == "__main__":
    uvicorn.run("routellm.openai_server:app", port=port, access_log=False, log_level="warning")
