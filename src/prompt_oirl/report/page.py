"""One self-contained page of HTML, and the same in JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from prompt_oirl.errors import ParameterError
from prompt_oirl.files import atomic_path
from prompt_oirl.optional import import_optional
from prompt_oirl.report.findings import Findings
from prompt_oirl.report.page_parts import Figure, Section, Table
from prompt_oirl.report.sections import sections_of
from prompt_oirl.report.summary import best_prompt_wording, key_figures
from prompt_oirl.report.texts import count, harmless_json, prompt_name, sentence, shown, visible
from prompt_oirl.report.verdict import Verdict, give_verdict
from prompt_oirl.runs.run import RUN_FILE

__all__ = ["check_target", "render_page", "report_json", "write_report"]

_FORMAT = 1
_SUFFIXES = (".html", ".htm")
_KEYS = ("format", "verdict", "findings", "tables")
"""Of the JSON, by which it is known again."""


def write_report(findings: Findings, path: Path | str) -> tuple[Path, Path]:
    """Write the page and, beside it, the same numbers as JSON; each file whole or not at all.

    Args:
        findings: As `make_findings` gathers them.
        path: Of the page, ending in `.html`; the other file has the suffix `.json`.

    Returns:
        The two files.

    Raises:
        ParameterError: The suffix is another, or the JSON would replace a file that is no report's.
        MissingDependencyError: jinja2 or matplotlib is not installed.
    """
    path = Path(path)
    check_target(path)
    sections, verdict = sections_of(findings), give_verdict(findings)
    beside = path.with_suffix(".json")
    texts = {path: render_page(findings, verdict, sections), beside: _dumped(report_json(findings, verdict, sections))}
    for target, text in texts.items():
        with atomic_path(target) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="replace", newline="\n")
    return path, beside


def check_target(path: Path) -> None:
    """Raise if a report could not be written there, or would replace something else than a report.

    Raises:
        ParameterError: The suffix is not that of a page, no file can be made there, or the JSON beside the page would
            replace a file that is no report's.
    """
    if path.suffix not in _SUFFIXES:
        raise ParameterError(f"the report is a page: name a file that ends in .html, not {path.name!r}")
    beside = path.with_suffix(".json")
    if beside.name == RUN_FILE:
        raise ParameterError(
            f"{RUN_FILE} beside {path.name!r} would make its folder look like a run; give the page another name"
        )
    if beside.exists() and not _is_report(beside):
        raise ParameterError(
            f"{beside} would be replaced by the report's JSON, and is not one; give the page another name or folder"
        )
    folder = next(each for each in path.absolute().parents if each.exists())
    try:
        with TemporaryFile(dir=folder):
            is_free = not path.is_dir()
    except OSError as error:
        raise ParameterError(f"{path} cannot be written ({error.strerror or error}); name another folder") from error
    if not is_free:
        raise ParameterError(f"{path} is a folder; name a file in it, such as {path / 'report.html'}")


def _is_report(path: Path) -> bool:
    """Return whether a file is the JSON of a report."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and tuple(said) == _KEYS


def render_page(findings: Findings, verdict: Verdict, sections: Sequence[Section]) -> str:
    """Return the HTML; every text in it is escaped, and nothing in it is fetched from anywhere."""
    jinja2 = import_optional("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("prompt_oirl.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=count, shown=shown)
    environment.tests.update(figure=lambda item: isinstance(item, Figure), table=lambda item: isinstance(item, Table))
    page: str = environment.get_template("report.html").render(
        findings=findings,
        verdict=verdict,
        sections=sections,
        warnings=[visible(sentence(warning)) for warning in findings.warnings],
        figures=key_figures(findings),
        wording=best_prompt_wording(findings),
        best_name=prompt_name(findings.best_single),
    )
    return page


def report_json(findings: Findings, verdict: Verdict, sections: Sequence[Section]) -> dict[str, Any]:
    """Return verdict, findings, and the rows of every table that the page offers as CSV."""
    return {
        "format": _FORMAT,
        "verdict": verdict.to_dict(),
        "findings": findings.to_dict(),
        "tables": {table.name: table.records() for table in _tables(sections)},
    }


def _tables(sections: Sequence[Section]) -> list[Table]:
    items = [item for section in sections for item in section.content]
    return [item.table if isinstance(item, Figure) else item for item in items if not isinstance(item, str)]


def _dumped(value: dict[str, Any]) -> str:
    return harmless_json(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)) + "\n"
