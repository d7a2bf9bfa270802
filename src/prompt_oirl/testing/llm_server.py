"""The simulated LLM as a process of its own: `python -m prompt_oirl.testing.llm_server --world 0 --queries 300`.

It writes its address as one line when it is ready. On SIGTERM, SIGINT, or when the pipe that is its standard input
closes, it stops and writes its counts as one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prompt_oirl.errors import ParameterError, PromptOIRLError
from prompt_oirl.sources.release import Release
from prompt_oirl.testing.llm_answerers import Answerer
from prompt_oirl.testing.llm_faults import Burst, Faults
from prompt_oirl.testing.replay import ReplayAnswerer
from prompt_oirl.testing.simulated_llm import SimulatedLLM
from prompt_oirl.testing.world import SyntheticWorld
from prompt_oirl.testing.world_answerer import WorldAnswerer

__all__ = ["main"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_STANDARD_INPUT = 0
_LAST_PORT = 65_535


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        llm = SimulatedLLM([_answerer(options)], faults=_faults(options.faults), model=options.model, port=options.port)
        with _told_to_stop() as told, llm:
            _write(llm.base_url)
            os.read(told, 1)
    except PromptOIRLError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    _write(json.dumps(llm.counts.to_dict()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m prompt_oirl.testing.llm_server", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--world", type=int, metavar="SEED", help="answer as the synthetic world of this seed")
    source.add_argument("--replay", type=Path, metavar="DATA", help="repeat the GSM8K test answers in this data folder")
    parser.add_argument("--queries", type=int, default=SyntheticWorld.n_queries, help="queries of the world")
    parser.add_argument("--independent", action="store_true", help="draw each answer of the world anew")
    parser.add_argument("--model", default="simulated-llm", help="name of the model")
    parser.add_argument("--port", type=_port, default=0, help="0 for one that is free")
    parser.add_argument(
        "--faults",
        default="{}",
        metavar="JSON",
        help='fields of Faults, such as {"rate_limited": 0.2, "burst": {"every": 100, "length": 10}}',
    )
    return parser


def _port(text: str) -> int:
    """Return the number of a port; argparse says what is wrong with another text."""
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to {_LAST_PORT} is needed")
    return number


def _answerer(options: argparse.Namespace) -> Answerer:
    if options.replay is not None:
        return ReplayAnswerer.from_release(Release.find(options.replay))
    world = SyntheticWorld(n_queries=options.queries, seed=options.world)
    _ = world.queries, world.success_probabilities  # made now, or the first request would wait for them
    return WorldAnswerer(world, is_deterministic=not options.independent)


def _faults(text: str) -> Faults:
    try:
        fields = json.loads(text)
        burst = fields.pop("burst", None)
        return Faults(**fields, burst=None if burst is None else Burst(**burst))
    except (ValueError, TypeError, AttributeError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(f"--faults {text!r}: a JSON object with fields of Faults is needed ({error})") from error


@contextmanager
def _told_to_stop() -> Iterator[int]:
    """Yield a descriptor that something can be read from as soon as the server is to stop."""
    reading, writing = os.pipe()
    # Handlers, for a signal that is blocked and waited for would end the process by way of a thread of some library.
    before = {each: signal.signal(each, lambda *_: os.write(writing, b".")) for each in _SIGNALS}
    if stat.S_ISFIFO(os.fstat(_STANDARD_INPUT).st_mode):
        threading.Thread(target=_tell_at_end_of_input, args=(writing,), daemon=True).start()
    try:
        yield reading
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _tell_at_end_of_input(writing: int) -> None:
    while os.read(_STANDARD_INPUT, 4096):
        pass
    os.write(writing, b".")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
