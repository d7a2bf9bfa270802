"""Run every benchmark and keep its JSON: `python benchmarks/run.py [NAME …]`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ("scoring", "recommend", "load", "plan", "collect", "serve", "reward_model", "statistics")
FILES = {"statistics": "known_truth.py"}
"""Named otherwise than its results: Python has a module `statistics`, which a file of that name would hide."""


def main() -> None:
    names = sys.argv[1:] or NAMES
    for name in names:
        print(f"{name}:", flush=True)
        command = [sys.executable, str(HERE / FILES.get(name, f"{name}.py")), "--json"]
        lines = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                print("  " + line, end="", flush=True)
                lines.append(json.loads(line))
        if process.returncode:
            sys.exit(f"{name} failed with exit code {process.returncode}")
        machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
        (HERE / "results").mkdir(exist_ok=True)
        record = json.dumps({"benchmark": name, **machine, "results": lines}, indent=1)
        (HERE / "results" / f"{name}.json").write_text(record + "\n")


if __name__ == "__main__":
    main()
