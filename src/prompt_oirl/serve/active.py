"""The recommender that the service uses, replaced whole while requests go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from prompt_oirl.errors import ArtifactError, ParameterError, PromptOIRLError, UnseenPromptError
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.prepared import PreparedRecommender

__all__ = ["ActiveRecommender", "Follower", "LoadedRecommender"]

_MOST_NAMED = 5

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LoadedRecommender:
    """A recommender with its version: what a decision takes once, so that a reload cannot come between."""

    recommender: Recommender
    prepared: PreparedRecommender
    version: str
    indices: Mapping[str, int]
    """Of the prompts, by their ids."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load, verify and try out what a folder holds.

        Raises:
            ArtifactError: The folder does not verify, or what it holds cannot recommend.
        """
        recommender = Recommender.load(folder)
        indices = {prompt.id: i for i, prompt in enumerate(recommender.prompts_)}
        return cls(recommender, recommender.prepare(), recommender.version, indices)

    def among(self, ids: Sequence[str]) -> list[int]:
        """Return the indices of the prompts with these ids, each once.

        Raises:
            UnseenPromptError: An id is none of a prompt here.
            ParameterError: There is none.
        """
        if not ids:
            raise ParameterError("candidates is empty: name at least one prompt, or leave it out for all of them")
        unseen = [each for each in ids if each not in self.indices]
        if unseen:
            named = ", ".join(f"{each[:60]!r}" for each in unseen[:_MOST_NAMED])
            raise UnseenPromptError(
                f"{len(unseen)} of the candidates are not prompts of this recommender, such as {named}; "
                "GET /v1/prompts lists those that are"
            )
        return list({self.indices[each]: None for each in ids})


Follower = Callable[[LoadedRecommender], None]
"""Is told of a recommender before it is used, in a thread that may wait."""


class ActiveRecommender:
    """The recommender in use, from a folder that may be written anew while the service runs.

    Args:
        folder: Where it was loaded from, and will be again.
        loaded: What was found there.
    """

    def __init__(self, folder: Path, loaded: LoadedRecommender) -> None:
        self.folder = folder
        self._loaded = loaded
        self._reloading = asyncio.Lock()
        self._followers: list[Follower] = []

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Load a recommender from a folder that `Recommender.save` wrote.

        Raises:
            ArtifactError: The folder does not verify, or what it holds cannot recommend.
        """
        return cls(Path(folder), LoadedRecommender.load(Path(folder)))

    @property
    def loaded(self) -> LoadedRecommender:
        """Recommender and version as they are now: take it once for all that belongs together."""
        return self._loaded

    @property
    def prepared(self) -> PreparedRecommender:
        """The recommender in use."""
        return self._loaded.prepared

    @property
    def version(self) -> str:
        """Of the recommender in use."""
        return self._loaded.version

    def follow(self, follower: Follower) -> None:
        """Tell `follower` of the recommender in use now, and of every other one before it is used."""
        follower(self._loaded)
        self._followers.append(follower)

    async def reload(self) -> str:
        """Load the folder again, use what is there from the next decision on, log that, and return its version.

        Raises:
            ArtifactError: The folder does not verify, or what it holds cannot recommend: the former recommender stays
                in use.
        """
        async with self._reloading:
            former = self.version
            try:
                self._loaded = await asyncio.to_thread(self._load_again)
            except ArtifactError as error:
                _logger.error("not reloaded, version %s stays in use: %s", former, error)
                raise
            _logger.info("reloaded: version %s is in use, before it was %s", self.version, former)
            return self.version

    def _load_again(self) -> LoadedRecommender:
        try:
            loaded = LoadedRecommender.load(self.folder)
        except ArtifactError:
            raise
        except (PromptOIRLError, OSError, ValueError, TypeError, LookupError) as error:
            raise ArtifactError(
                f"{self.folder} cannot be loaded ({type(error).__name__}: {error}); the former recommender stays in use"
            ) from error
        for follower in self._followers:
            follower(loaded)
        return loaded
