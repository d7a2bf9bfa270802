"""Write the generated parts of the documents: `python docs/generate.py`, or with `--check` say which are stale.

Generated are `docs/cli.md` and `docs/http.md`, whole, and in README.md and the pages in reproduction/ and docs/ every
block

    <!-- generated: NAME -->
    …
    <!-- end -->

NAME is one of `result_tables.BLOCKS`, `headroom_tables.HEADROOM_BLOCKS` or `prompt_tables.PROMPT_BLOCKS`. Every
measured number in a document comes this way from the committed results.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from cli_reference import render_cli
from headroom_tables import HEADROOM_BLOCKS
from http_reference import render_http
from prompt_tables import PROMPT_BLOCKS
from result_tables import BLOCKS, NOT_COMPUTED, Results, read_results

from prompt_oirl.files import atomic_path

REPOSITORY = Path(__file__).resolve().parent.parent
_BLOCKS = BLOCKS | HEADROOM_BLOCKS | PROMPT_BLOCKS
_BLOCK = re.compile(r"(?P<begin>^<!-- generated: (?P<name>\S+) -->\n)(?P<body>.*?)(?P<end>^<!-- end -->$)", re.S | re.M)


def generated(repository: Path) -> dict[Path, str]:
    """Return the text that each document with generated parts should have."""
    results = read_results(repository)
    documents = [repository / "README.md", *sorted((repository / "reproduction").glob("*.md"))]
    documents += sorted((repository / "docs").rglob("*.md"))
    texts = {path: fill(path, results) for path in documents if path.is_file()}
    return texts | {repository / "docs" / "cli.md": render_cli(), repository / "docs" / "http.md": render_http()}


def fill(document: Path, results: Results) -> str:
    """Return the document's text with every block written anew.

    Raises:
        SystemExit: A block has an unknown name, or has no end.
    """
    text = document.read_text(encoding="utf-8")

    def block(match: re.Match[str]) -> str:
        if match["name"] not in _BLOCKS:
            raise SystemExit(f"{document}: there is no block {match['name']!r}; use one of {', '.join(_BLOCKS)}")
        made = _BLOCKS[match["name"]](results, document.parent) or NOT_COMPUTED
        return f"{match['begin']}{made}\n{match['end']}"

    filled, n_blocks = _BLOCK.subn(block, text)
    if n_blocks != len(re.findall(r"^<!-- generated: ", text, re.M)):
        raise SystemExit(f"{document}: a generated block has no line '<!-- end -->' after it; add it")
    return filled


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 and name the files that are stale")
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="the checkout to work on")
    options = parser.parse_args(arguments)
    texts = generated(options.repository)
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not options.check:
            with atomic_path(path) as temporary:
                temporary.write_text(texts[path], encoding="utf-8")
        what = "is stale; run `make docs`" if options.check else "written"
        sys.stdout.write(f"{path.relative_to(options.repository)} {what}\n")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
