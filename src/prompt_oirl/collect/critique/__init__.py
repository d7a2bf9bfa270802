"""The self-critique baseline: an LLM judges its own stored answers."""
