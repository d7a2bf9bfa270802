"""One tree of errors; every message shows the value, what was expected and the way out.

```
PromptOIRLError
├── DataError                 what was read is not what it should be
│   ├── FileFormatError       a file, row or column is malformed (names all three)
│   ├── DataNotFoundError     a file or folder is not where it was looked for
│   ├── ChecksumError         bytes differ from the pinned sha256
│   ├── DownloadError         a file could not be fetched
│   └── LeakageError          evaluation queries were seen in training
├── ParameterError            an argument is outside what is allowed (also a ValueError)
├── NotFittedError            a model was used before `fit` (also a ValueError)
├── UnseenPromptError         a model was asked about a prompt it cannot score
├── ArtifactError             a saved folder is damaged, incomplete or of another version
├── StoreError                a run's store or the decision log's is damaged, full, locked, down or of something else
├── LLMError                  no call to the LLM can succeed: no key, no access, no such model, no server
└── MissingDependencyError    an optional package is needed (also an ImportError)
```
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "ArtifactError",
    "ChecksumError",
    "DataError",
    "DataNotFoundError",
    "DownloadError",
    "FileFormatError",
    "LLMError",
    "LeakageError",
    "MissingDependencyError",
    "NotFittedError",
    "ParameterError",
    "PromptOIRLError",
    "StoreError",
    "UnequalPropensityWarning",
    "UnseenPromptError",
]


class PromptOIRLError(Exception):
    """Base of every error that this package raises on purpose."""


class DataError(PromptOIRLError):
    """What was read is not what it should be."""


class FileFormatError(DataError):
    """A file is malformed; the message names the file and, where known, the row.

    Args:
        path: The file.
        problem: What is wrong, with the value found, what was expected and the way out.
        row: One-based row or line number, if one row is to blame.
    """

    def __init__(self, path: Path | str, problem: str, *, row: int | None = None) -> None:
        self.path = Path(path)
        self.row = row
        place = f"{path}" if row is None else f"{path}, row {row}"
        super().__init__(f"{place}: {problem}")


class DataNotFoundError(DataError):
    """A file or folder is not where it was looked for."""


class ChecksumError(DataError):
    """Bytes differ from the pinned checksum."""


class DownloadError(DataError):
    """A file could not be fetched."""


class LeakageError(DataError):
    """Queries used for evaluation were seen in training."""


class ParameterError(PromptOIRLError, ValueError):
    """An argument is outside what is allowed."""


class NotFittedError(PromptOIRLError, ValueError):
    """A model was used before `fit`."""


class UnseenPromptError(PromptOIRLError):
    """A model was asked about a prompt it cannot score."""


class ArtifactError(PromptOIRLError):
    """A saved folder is damaged, incomplete or of another version."""


class StoreError(PromptOIRLError):
    """A store, of a run or of decisions, is damaged, full, locked, down, of another version or of something else."""


class LLMError(PromptOIRLError):
    """No call to the LLM can succeed: no key, no access, no such model, no server."""


class MissingDependencyError(PromptOIRLError, ImportError):
    """An optional package is needed; the message says how to install it."""


class UnequalPropensityWarning(UserWarning):
    """Trials were bought, or prompts chosen, with unequal probabilities, and nothing here weights by them."""
