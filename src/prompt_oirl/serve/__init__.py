"""The service: recommendations over HTTP, a gateway in front of an LLM, and the log of what was decided."""
