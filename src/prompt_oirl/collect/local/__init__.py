"""An LLM in this process, from a checkpoint folder: the extra `local`."""
