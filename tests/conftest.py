"""What every test shares: where the real logs are, and a network that ends at loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent


settings.register_profile("no deadline", deadline=None)  # a busy machine is no fault of an example
settings.load_profile("no deadline")


def pytest_configure() -> None:
    """Let processes that tests start be interrupted: a shell's background jobs ignore SIGINT, and so do theirs."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the released logs, or a skip that says how to get it."""
    folder = Path(os.environ.get("PROMPT_OIRL_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "prompt-oirl").is_dir():
        pytest.skip(f"the released logs are not at {folder}: set PROMPT_OIRL_DATA, or run `prompt-oirl download`")
    return folder


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to reach {address}; tests stay on loopback")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB, or a skip where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no small disk can be made: {error}")
    if done.returncode:
        pytest.skip(f"no small disk can be made: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of a chat model of 600 KB with random weights, or a skip where torch is not installed."""
    tokenizers, torch, transformers = (
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'prompt-oirl[local]'")
        for name in ("tokenizers", "torch", "transformers")
    )
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-llama"
    bytes_to_tokens = tokenizers.Tokenizer(tokenizers.models.BPE())
    bytes_to_tokens.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_to_tokens.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = [f"Tom has {n} apples and buys {7 * n} more. How many? Let's think step by step." for n in range(500)]
    bytes_to_tokens.train_from_iterator(text, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bytes_to_tokens, eos_token="<|im_end|>")
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    torch.manual_seed(0)
    configuration = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,  # the likeliest token stands out, so that rounding does not decide
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    transformers.LlamaForCausalLM(configuration).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
