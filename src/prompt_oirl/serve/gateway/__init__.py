"""A gateway in front of an OpenAI-compatible server: puts the recommended prompt in, streams answers back."""
