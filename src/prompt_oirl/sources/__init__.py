"""Readers of other people's data: the release of the paper, its question sets, and their download."""
