"""A local model: what its folder must hold, what it answers, that a batch changes nothing, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.collect.client.protocol import LLMClient
from prompt_oirl.collect.local.client import LocalClient, check_local_parameters, local_base_url
from prompt_oirl.collect.local.decoding import SampledRows
from prompt_oirl.collect.local.model import LocalModel, LocalRequest
from prompt_oirl.errors import (
    DataError,
    DataNotFoundError,
    FileFormatError,
    LLMError,
    MissingDependencyError,
    ParameterError,
)
from prompt_oirl.records import Message
from prompt_oirl.runs.configuration import SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome

GREEDY = SamplingParameters(temperature=0, max_tokens=12)
SAMPLED = SamplingParameters(temperature=0.8, top_p=0.9, max_tokens=12, seed=5)
QUESTIONS = [f"Tom has {n} apples and buys {n * n} more{' and more' * (n % 5)}. How many?" for n in range(20)]


def asking(question: str) -> tuple[Message, ...]:
    return (Message("user", question),)


async def ask(client: LocalClient, questions: Sequence[str], parameters: SamplingParameters) -> list[Outcome]:
    try:
        return await asyncio.gather(*(client.complete(asking(each), parameters) for each in questions))
    finally:
        await client.close()


async def texts(client: LocalClient, questions: Sequence[str], parameters: SamplingParameters) -> list[str]:
    return [text_of(outcome) for outcome in await ask(client, questions, parameters)]


def text_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Completion), outcome
    return outcome.text


async def answer(folder: Path, parameters: SamplingParameters) -> Completion:
    (outcome,) = await ask(LocalClient(folder), QUESTIONS[:1], parameters)
    assert isinstance(outcome, Completion), outcome
    return outcome


@pytest.fixture
def checkpoint(tmp_path: Path, tiny_llama: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tiny_llama, tmp_path / "copy"))


@pytest.fixture
def hollow(tmp_path: Path) -> Path:
    """A folder with the right names in it, for what needs no torch."""
    folder = tmp_path / "hollow"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(random.Random(0).randbytes(300_000)))
    return folder


# What it answers


def test_is_a_client(tiny_llama: Path) -> None:
    assert isinstance(LocalClient(tiny_llama), LLMClient)


async def test_answers_as_the_model_itself(tiny_llama: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    conversation = [{"role": "user", "content": QUESTIONS[0]}]
    prompt = tokenizer.apply_chat_template(conversation, add_generation_prompt=True, return_tensors="pt")["input_ids"]
    new = model.generate(prompt, do_sample=False, max_new_tokens=12)[0, prompt.shape[1] :]
    completion = await answer(tiny_llama, GREEDY)
    assert completion.text == tokenizer.decode(new, skip_special_tokens=True)
    assert (completion.prompt_tokens, completion.completion_tokens) == (prompt.shape[1], 12)
    assert (completion.finish_reason, completion.model) == ("length", "tiny-llama")
    assert completion.latency > 0


@pytest.mark.parametrize(
    "parameters",
    [GREEDY, SAMPLED, SamplingParameters(temperature=1.5, seed=1, max_tokens=12, extra='{"repetition_penalty": 1.3}')],
    ids=["greedy", "sampled", "penalty"],
)
async def test_a_batch_changes_no_answer(tiny_llama: Path, parameters: SamplingParameters) -> None:
    alone = await texts(LocalClient(tiny_llama, batch_size=1), QUESTIONS, parameters)
    together = await texts(LocalClient(tiny_llama, batch_size=8), QUESTIONS[::-1], parameters)
    assert alone == together[::-1]


async def test_a_batch_is_one_call_of_the_model(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    inner = LocalModel.answer

    def counted(self: LocalModel, requests: Sequence[LocalRequest]) -> list[Outcome]:
        sizes.append(len(requests))
        return inner(self, requests)

    monkeypatch.setattr(LocalModel, "answer", counted)
    await ask(LocalClient(tiny_llama, batch_size=8), QUESTIONS, GREEDY)
    assert sizes == [8, 8, 4]


async def test_requests_with_other_parameters_wait_for_their_own_batch(tiny_llama: Path) -> None:
    client = LocalClient(tiny_llama)
    short = SamplingParameters(max_tokens=3)
    outcomes = await asyncio.gather(
        *(client.complete(asking(each), short if n % 2 else GREEDY) for n, each in enumerate(QUESTIONS))
    )
    await client.close()
    assert [outcome.completion_tokens for outcome in outcomes if isinstance(outcome, Completion)] == [12, 3] * 10


async def test_seeds_fix_answers_and_differ(tiny_llama: Path) -> None:
    client = LocalClient(tiny_llama)
    seeds = (1, 2, 3, 1)
    outcomes = [await client.complete(asking(QUESTIONS[0]), SAMPLED.for_sample(seed)) for seed in seeds]
    await client.close()
    first, second, third, again = map(text_of, outcomes)
    assert len({first, second, third}) == 3
    assert first == again


async def test_without_a_seed_answers_differ(tiny_llama: Path) -> None:
    found = await texts(LocalClient(tiny_llama), QUESTIONS[:1] * 3, SamplingParameters(temperature=1.5, max_tokens=12))
    assert len(set(found)) == 3


async def test_ends_at_a_stop_text(tiny_llama: Path) -> None:
    whole = await answer(tiny_llama, GREEDY)
    stop = whole.text[3:5]
    cut = await answer(tiny_llama, SamplingParameters(temperature=0, max_tokens=12, stop=("never said", stop)))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert cut.completion_tokens is not None
    assert 0 < cut.completion_tokens < 12


async def test_ends_at_an_end_token_of_the_checkpoint(checkpoint: Path) -> None:
    model = LocalModel(checkpoint)
    tokens = model.encode(asking(QUESTIONS[0]))
    whole = await answer(checkpoint, GREEDY)
    import torch

    with torch.no_grad():
        first = int(model._model(torch.tensor([tokens])).logits[0, -1].argmax())
    path = checkpoint / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": [1, first]}))
    ended = await answer(checkpoint, GREEDY)
    assert whole.completion_tokens == 12
    assert (ended.text, ended.finish_reason, ended.completion_tokens) == ("", "stop", 1)


async def test_sampling_defaults_of_the_checkpoint_are_not_used(checkpoint: Path) -> None:
    expected = await answer(checkpoint, GREEDY)
    path = checkpoint / "generation_config.json"
    defaults = {"do_sample": True, "temperature": 5.0, "repetition_penalty": 3.0, "max_length": 20, "top_k": 3}
    path.write_text(json.dumps(json.loads(path.read_text()) | defaults))
    assert (await answer(checkpoint, GREEDY)).text == expected.text


async def test_an_answer_ends_where_the_context_does(checkpoint: Path) -> None:
    path = checkpoint / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_position_embeddings": 64}))
    completions = await ask(LocalClient(checkpoint), QUESTIONS, SamplingParameters())
    cut = [each for each in completions if isinstance(each, Completion) and each.finish_reason == "length"]
    assert len(cut) > 10
    assert {(each.prompt_tokens or 0) + (each.completion_tokens or 0) for each in cut} == {64}


async def test_a_prompt_beyond_the_context_is_a_bad_request(tiny_llama: Path) -> None:
    failure, completion = await ask(LocalClient(tiny_llama), ["x" * 600, QUESTIONS[0]], GREEDY)
    assert isinstance(failure, Failure)
    assert failure.kind == "bad_request"
    assert "6" in failure.message
    assert "context 512" in failure.message
    assert isinstance(completion, Completion)


async def test_a_template_that_refuses_is_a_bad_request(checkpoint: Path) -> None:
    (checkpoint / "chat_template.jinja").write_text("{{ raise_exception('roles must alternate') }}")
    (failure,) = await ask(LocalClient(checkpoint), QUESTIONS[:1], GREEDY)
    assert isinstance(failure, Failure)
    assert failure.kind == "bad_request"
    assert "roles must alternate" in failure.message


# How it samples


def drawn(logits: list[float], parameters: SamplingParameters, n: int = 4000) -> Counter[int]:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'prompt-oirl[local]'")
    rows = SampledRows(parameters, [random.Random(row) for row in range(n)])
    scores: Any = rows(None, torch.tensor([logits] * n))
    return Counter(scores.argmax(-1).tolist())


def test_draws_with_the_probabilities_of_the_temperature() -> None:
    import math

    counts = drawn([0.0, 1.0, -math.inf, 2.0], SamplingParameters(temperature=0.5))
    total = sum(math.exp(2 * logit) for logit in (0, 1, 2))
    for token, logit in ((0, 0), (1, 1), (3, 2)):
        expected = math.exp(2 * logit) / total
        assert abs(counts[token] / 4000 - expected) < 4 * math.sqrt(expected * (1 - expected) / 4000)
    assert counts[2] == 0


def test_draws_only_what_top_p_and_top_k_leave() -> None:
    logits = [0.0, 3.0, 1.0, 2.0]  # probabilities .03, .64, .09, .24
    assert set(drawn(logits, SamplingParameters(temperature=1.0, top_p=0.6))) == {1}
    assert set(drawn(logits, SamplingParameters(temperature=1.0, top_p=0.8))) == {1, 3}
    assert set(drawn(logits, SamplingParameters(temperature=1.0, top_p=1.0))) == {0, 1, 2, 3}
    assert set(drawn(logits, SamplingParameters(temperature=1.0, extra='{"top_k": 3}'))) == {1, 2, 3}
    assert set(drawn(logits, SamplingParameters(temperature=1.0, extra='{"top_k": 99}'))) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (SamplingParameters(extra='{"logit_bias": {}}'), "logit_bias"),
        (SamplingParameters(temperature=1, extra='{"top_k": 0}'), "top_k=0"),
        (SamplingParameters(temperature=1, extra='{"top_k": true}'), "top_k=True"),
        (SamplingParameters(extra='{"repetition_penalty": "high"}'), "repetition_penalty='high'"),
        (SamplingParameters(stop=("",)), "stop"),
        (SamplingParameters(top_p=0.9), "temperature"),
        (SamplingParameters(extra='{"top_k": 20}'), "temperature"),
    ],
)
async def test_refuses_what_it_does_not_do(hollow: Path, parameters: SamplingParameters, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        check_local_parameters(parameters)
    with pytest.raises(ParameterError, match=said):
        await LocalClient(hollow).complete(asking("1 + 1?"), parameters)


def test_accepts_what_it_does() -> None:
    extra = '{"top_k": 20, "repetition_penalty": 1.1}'
    check_local_parameters(
        SamplingParameters(temperature=0.6, top_p=0.9, max_tokens=512, seed=1, stop=("A",), extra=extra)
    )
    check_local_parameters(SamplingParameters(temperature=0, top_p=0.9))


# What goes wrong


def starved(most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let memory run out for more than `most` requests; return the sizes of the batches tried."""
    import torch

    sizes: list[int] = []
    inner = LocalModel._answer

    def scarce(self: LocalModel, requests: Sequence[LocalRequest]) -> list[Outcome]:
        sizes.append(len(requests))
        if len(requests) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return inner(self, requests)

    monkeypatch.setattr(LocalModel, "_answer", scarce)
    return sizes


async def test_out_of_memory_halves_the_batch(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = await texts(LocalClient(tiny_llama), QUESTIONS, GREEDY)
    sizes = starved(2, monkeypatch)
    assert await texts(LocalClient(tiny_llama), QUESTIONS, GREEDY) == expected
    assert sizes == [8, 4, 2, 2, 4, 2, 2] + [2] * 6


async def test_one_request_beyond_the_memory_is_a_failure(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starved(0, monkeypatch)
    (failure,) = await ask(LocalClient(tiny_llama), QUESTIONS[:1], GREEDY)
    assert isinstance(failure, Failure)
    assert failure.kind == "server_error"
    assert "out of memory" in failure.message


async def test_a_model_that_fails_stops_the_run(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: LocalModel, requests: Sequence[LocalRequest]) -> list[Outcome]:
        raise ValueError("no such kernel")

    monkeypatch.setattr(LocalModel, "_answer", broken)
    with pytest.raises(LLMError, match="no such kernel"):
        await ask(LocalClient(tiny_llama), QUESTIONS[:1], GREEDY)


LONG = SamplingParameters(temperature=0, max_tokens=450)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """What the model made, whether somebody still waited for it or not."""
    outcomes: list[Outcome] = []
    inner = LocalModel.answer

    def recorded(self: LocalModel, requests: Sequence[LocalRequest]) -> list[Outcome]:
        answers = inner(self, requests)
        outcomes.extend(answers)
        return answers

    monkeypatch.setattr(LocalModel, "answer", recorded)
    return outcomes


def endings(outcomes: Sequence[Outcome]) -> list[str | None]:
    return [outcome.finish_reason for outcome in outcomes if isinstance(outcome, Completion)]


async def test_a_cancelled_call_ends_its_row_and_no_other(tiny_llama: Path, made: list[Outcome]) -> None:
    (whole,) = await ask(LocalClient(tiny_llama), [QUESTIONS[0]], LONG)
    client = LocalClient(tiny_llama)
    await client.check()
    kept = asyncio.create_task(client.complete(asking(QUESTIONS[0]), LONG))
    dropped = asyncio.create_task(client.complete(asking(QUESTIONS[1]), LONG))
    await asyncio.sleep(0.05)
    dropped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dropped
    assert text_of(await kept) == text_of(whole)
    assert endings(made)[1:] == [endings([whole])[0], "unwanted"]
    await client.close()


async def test_close_ends_what_is_under_way(tiny_llama: Path, made: list[Outcome]) -> None:
    client = LocalClient(tiny_llama, batch_size=2)
    await client.check()
    tasks = [asyncio.create_task(client.complete(asking(each), LONG)) for each in QUESTIONS[:5]]
    await asyncio.sleep(0.05)
    await client.close()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, LLMError)
    assert endings(made) == ["unwanted"] * 2
    with pytest.raises(LLMError, match="closed"):
        await client.complete(asking(QUESTIONS[0]), GREEDY)


async def test_close_before_anything(hollow: Path) -> None:
    client = LocalClient(hollow)
    await client.close()
    await client.close()
    with pytest.raises(LLMError, match="closed; make another"):
        await client.complete(asking(QUESTIONS[0]), GREEDY)


@pytest.mark.parametrize("module", ["torch", "transformers"])
async def test_says_how_to_install(hollow: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if module == "transformers":
        pytest.importorskip("torch", reason="torch is not installed, so it is missed first")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"prompt-oirl\[local\]"):
        await LocalClient(hollow).check()


def test_refuses_an_empty_batch(hollow: Path) -> None:
    with pytest.raises(ParameterError, match="batch_size=0"):
        LocalClient(hollow, batch_size=0)


# What its folder must hold


def test_refuses_what_is_no_checkpoint(tmp_path: Path, hollow: Path) -> None:
    with pytest.raises(DataNotFoundError, match="no folder"):
        LocalClient(tmp_path / "nowhere")
    (hollow / "tokenizer.json").unlink()
    with pytest.raises(DataNotFoundError, match="tokenizer"):
        LocalClient(hollow)
    (hollow / "config.json").unlink()
    with pytest.raises(DataNotFoundError, match=r"no config\.json"):
        LocalClient(hollow)
    (hollow / "model.safetensors").unlink()
    with pytest.raises(DataNotFoundError, match="no weights"):
        local_base_url(hollow)


@pytest.mark.parametrize(("name", "said"), [("pytorch_model.bin", "pickle"), ("model.gguf", "llama-server")])
def test_refuses_other_formats_of_weights(hollow: Path, name: str, said: str) -> None:
    (hollow / "model.safetensors").rename(hollow / name)
    with pytest.raises(FileFormatError, match=said):
        LocalClient(hollow)


def test_refuses_a_download_that_is_not_finished(hollow: Path) -> None:
    index = hollow / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}))
    with pytest.raises(DataNotFoundError, match=r"lacks 1 files .* model-2\.safetensors"):
        LocalClient(hollow)
    index.write_text("{")
    with pytest.raises(FileFormatError, match="no index"):
        LocalClient(hollow)


def without_a_layer(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def of_unknown_kind(folder: Path) -> None:
    path = folder / "config.json"
    own = {"model_type": "mine", "architectures": ["Mine"], "auto_map": {"AutoModelForCausalLM": "mine.Mine"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | own))
    (folder / "mine.py").write_text("raise SystemExit('the code of a checkpoint was run')")


def of_other_shapes(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 96}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "chat_template.jinja").unlink(), r"no chat template.*chat_template\.jinja"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be loaded"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer cannot be loaded"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x10" * 100), "model cannot be loaded"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(
                (folder / "model.safetensors").read_bytes()[:-9000]
            ),
            "model cannot be loaded",
        ),
        (without_a_layer, r"missing.*up_proj"),
        (of_unknown_kind, "cannot be loaded"),
        (of_other_shapes, "cannot be loaded"),
    ],
    ids=["template", "config", "tokenizer", "weights", "truncated", "layer", "code", "shapes"],
)
async def test_refuses_a_damaged_checkpoint(checkpoint: Path, damage: Any, said: str) -> None:
    damage(checkpoint)
    with pytest.raises(DataError, match=said) as caught:
        await LocalClient(checkpoint).check()
    assert str(checkpoint) in str(caught.value)


async def test_a_device_that_is_not_there(tiny_llama: Path) -> None:
    with pytest.raises(LLMError, match="nowhere"):
        await LocalClient(tiny_llama, device="nowhere").check()


# Which checkpoint it is


def test_the_address_is_that_of_the_content(hollow: Path, tmp_path: Path) -> None:
    address = local_base_url(hollow)
    assert address.startswith("local:")
    assert len(address) == len("local:") + 16
    copy = Path(shutil.copytree(hollow, tmp_path / "elsewhere"))
    (copy / "README.md").write_text("downloaded again")
    assert local_base_url(copy) == address


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja"])
def test_the_address_differs_with_what_the_answers_depend_on(hollow: Path, name: str) -> None:
    before = local_base_url(hollow)
    (hollow / name).write_text('{"other": 1}')
    assert local_base_url(hollow) != before


def test_the_address_differs_between_fine_tunings(hollow: Path) -> None:
    before = local_base_url(hollow)
    weights = bytearray((hollow / "model.safetensors").read_bytes())
    weights[150_000:200_000] = bytes(50_000)
    (hollow / "model.safetensors").write_bytes(weights)
    assert local_base_url(hollow) != before
