"""The client of an OpenAI-compatible server: one request an attempt, retries, limits, and no secret that gets out."""
