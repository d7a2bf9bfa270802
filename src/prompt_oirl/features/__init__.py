"""Text to arrays: lexical features (the default), embedders, and their cache on disk."""
