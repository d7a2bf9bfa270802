"""Buy demonstrations from an LLM: the only part of the package that calls one."""
