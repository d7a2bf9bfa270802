"""What was asked of an LLM and what came back, in a store that survives a crash; nothing here calls an LLM."""
