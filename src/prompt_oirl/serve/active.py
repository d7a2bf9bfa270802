"""The recommender that the service uses, replaced whole while requests go on."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from prompt_oirl.errors import ArtifactError, ParameterError, PromptOIRLError, UnseenPromptError
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.prepared import PreparedRecommender

__all__ = ["ActiveRecommender", "Follower", "LoadedRecommender"]

_MOST_NAMED = 5
_TRIAL = "What is 2 plus 3?"


@dataclass(frozen=True, eq=False)
class LoadedRecommender:
    """A recommender with its version: what a decision takes once, so that a reload cannot come between."""

    prepared: PreparedRecommender
    version: str
    indices: Mapping[str, int]
    """Of the prompts, by their ids."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load, verify and try out what a folder holds.

        Raises:
            ArtifactError: The folder does not verify, or what it holds cannot score a query.
        """
        recommender = Recommender.load(folder)
        prepared = recommender.prepare()
        try:
            prepared.recommend(_TRIAL)
        except Exception as error:
            raise ArtifactError(
                f"{folder} cannot score a query ({type(error).__name__}: {error}); see to what it needs, or train again"
            ) from error
        return cls(prepared, recommender.version, {prompt.id: i for i, prompt in enumerate(prepared.prompts)})

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
            ArtifactError: The folder does not verify, or what it holds cannot score a query.
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
        """Load the folder again, use what is there from the next decision on, and return its version.

        Raises:
            ArtifactError: The folder does not verify, or what it holds cannot score a query: the former recommender
                stays in use.
        """
        async with self._reloading:
            self._loaded = await asyncio.to_thread(self._load_again)
            await asyncio.to_thread(_free_former)
            return self._loaded.version

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


def _free_former() -> None:
    """Free a recommender that is out of use: its parts refer to each other, and may be frozen."""
    was_frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.collect()
    if was_frozen:
        gc.freeze()
