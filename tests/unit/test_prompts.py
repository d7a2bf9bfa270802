from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError, DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.prompts import check_distinct, read_prompts, write_prompts
from prompt_oirl.records import ROLES, Message, Prompt, Query, wording_hash

YAML = """
prompts:
  - id: steps
    text: "Let's think step by step:"
  - id: first
    template: "Read this first. {{query}}"
  - text: The answer is
"""


def written(folder: Path, content: str | bytes, name: str = "prompts.yaml") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_yaml(tmp_path: Path) -> None:
    prompts = read_prompts(written(tmp_path, YAML))
    assert prompts == (
        Prompt(id="steps", template="{{query}}\nLet's think step by step:"),
        Prompt(id="first", template="Read this first. {{query}}"),
        Prompt.from_text("The answer is"),
    )


ROLES_YAML = """
- {id: after, text: Think., role: suffix}
- {id: before, text: Think., role: prefix}
- {id: system, text: Think., role: system}
- {id: around, text: "Q: {{query}} A:", role: template}
"""


def test_the_role_says_where_a_text_goes(tmp_path: Path) -> None:
    prompts = read_prompts(written(tmp_path, ROLES_YAML))
    assert [[(each.role, each.content) for each in prompt.messages(Query("2?"))] for prompt in prompts] == [
        [("user", "2?\nThink.")],
        [("user", "Think.\n2?")],
        [("system", "Think."), ("user", "2?")],
        [("user", "Q: 2? A:")],
    ]


def test_without_an_id_a_prompt_is_named_by_the_hash_of_its_wording(tmp_path: Path) -> None:
    without_ids = "\n".join("- {" + line.split(", ", 1)[1] for line in ROLES_YAML.strip().splitlines())
    prompts = read_prompts(written(tmp_path, without_ids))
    assert [prompt.id for prompt in prompts] == [
        wording_hash("Think."),
        wording_hash("Think.\n{{query}}"),
        wording_hash("{{query}}", [Message("system", "Think.")]),
        wording_hash("Q: {{query}} A:"),
    ]


def test_several_messages(tmp_path: Path) -> None:
    content = """
    - id: shown
      messages:
        - {role: system, content: You are brief.}
        - {role: user, content: "1 + 1?"}
        - {role: assistant, content: "2"}
        - role: user
          content: "{{query}}"
    - id: asked-before
      messages:
        - {role: user, content: "{{query}}"}
        - {role: assistant, content: Let me think.}
        - {role: user, content: "Well?"}
    """
    shown, asked_before = read_prompts(written(tmp_path, content))
    context = (Message("system", "You are brief."), Message("user", "1 + 1?"), Message("assistant", "2"))
    assert shown == Prompt("shown", "{{query}}", context)
    assert (asked_before.template, asked_before.context[0].content) == ("Well?", "{{query}}")
    single = written(tmp_path, "- {id: a, messages: [{role: user, content: '{{query}}!'}]}")
    assert read_prompts(single) == (Prompt("a", "{{query}}!"),)


def test_json_with_a_byte_order_mark(tmp_path: Path) -> None:
    content = json.dumps([{"template": "{{query}} ¿?"}], ensure_ascii=False).encode("utf-8-sig")
    assert read_prompts(written(tmp_path, content, "prompts.json")) == (Prompt.from_text("{{query}} ¿?"),)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "a list of prompts"),
        ("[]", "a list of prompts"),
        ("prompts: []", "a list of prompts"),
        ("prompts: [{text: a}]\nversion: 1", "a list of prompts"),
        ("just text", "a list of prompts"),
        ("- just text", "prompt 1 of the list: 'just text' is no prompt"),
        (
            "- {id: a, txt: b}",
            "prompt 1 of the list: the key 'txt' is not known; known are id, .*; did you mean 'text'",
        ),
        ("- {id: a, colour: b}", r"the key 'colour' is not known; known are id, template, text, role, messages$"),
        ("- {id: a, mesages: []}", "did you mean 'messages'"),
        ("- {id: a}", "either 'template'.*got 'id'"),
        ("- {}", "got nothing"),
        ("- {id: a, text: b, messages: []}", "either 'template'"),
        ("- {id: a, text: b, role: sufix}", "the role 'sufix' is not known; .*; did you mean 'suffix'"),
        ("- {id: a, text: b, role: user}", r"known are suffix, prefix, system, template$"),
        ("- {id: a, text: b, role: 3}", "'role' must be a non-empty text"),
        ("- {id: a, text: no slot, role: template}", r"has no \{\{query\}\} slot"),
        ("- {id: a, text: '{{query}} a', role: prefix}", "call it 'template'"),
        ("- {id: a, text: '{{query}} a', role: system}", "call it 'template', or write 'messages'"),
        ("- {id: a, text: '{ query } a'}", "is not replaced; write"),
        ("- {id: a, template: '{{query}}', role: prefix}", "'template' says it by itself; drop 'role'"),
        ("- {id: a, messages: [{role: user, content: '{{query}}'}], role: user}", "'messages' says it by itself"),
        ("- {id: a, messages: []}", "'messages' is a list of one or more"),
        ("- {id: a, messages: {role: user, content: '{{query}}'}}", "'messages' is a list of one or more"),
        ("- {id: a, messages: null}", "'messages' is a list of one or more"),
        ("- {id: a, messages: ['{{query}}']}", "message 1: '{{query}}' is no message"),
        ("- {id: a, messages: [{role: user}]}", "message 1: 'content' is missing"),
        ("- {id: a, messages: [{role: user, content: ''}]}", "message 1: 'content' must be a non-empty text"),
        ("- {id: a, messages: [{role: user, content: 3}]}", "message 1: 'content' must be a non-empty text, got 3"),
        ("- {id: a, messages: [{role: user, contents: a}]}", "message 1: the key 'contents'.*did you mean 'content'"),
        ("- {id: a, messages: [{role: human, content: a}]}", "message 1: the role 'human'.*did you mean 'user'"),
        (
            "- {id: a, messages: [{role: user, content: '{{query}}'}, {role: assistant, content: b}]}",
            "prompt 1 of the list: the last message is the assistant's; it must be the user's",
        ),
        ("- {id: a, messages: [{role: user, content: a}]}", r"no message has a \{\{query\}\} slot"),
        (
            "- {id: a, text: c}\n- {id: b, template: '{{query}}\\n\\nc'}\n- {id: d, text: c}",
            "prompt 3 of the list: 'd'",
        ),
        ("- {id: a, text: c}\n- {id: b, text: c}", "'b' has the same wording as 'a', so every answer would be bought"),
        ("- {id: a, text: c, role: system}\n- {id: b, text: c, role: system}", "'b' has the same wording as 'a'"),
        ("- {id: a, text: b, template: '{{query}}'}", "either 'template'"),
        ("- {id: a, template: no slot}", r"has no \{\{query\}\} slot"),
        ("- {id: a, text: 'a {{query}}'}", "call it 'template'"),
        ("- {id: 7, text: a}", "'id' must be a non-empty text, got 7; put quotes"),
        ("- {id: no, text: a}", "'id' must be a non-empty text, got False"),
        ("- {id: a, text: '  '}", "'text' must be a non-empty text"),
        ("- {id: a, text: b}\n- {id: a, text: c}", "prompt 2 of the list: the id 'a' is also that of prompt 1"),
        ("- {text: b}\n- {text: b}", "is also that of prompt 1"),
        ("- {id: a", "cannot be read as yaml"),
        (b"- {id: a, text: \xff}", "cannot be read as yaml in UTF-8"),
        ("- !!python/object/apply:os.system ['true']", "cannot be read as yaml"),
    ],
)
def test_malformed_files_are_errors_that_name_file_and_entry(
    tmp_path: Path, content: str | bytes, problem: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(FileFormatError, match=problem) as error:
        read_prompts(path)
    assert str(path) in str(error.value)


def test_malformed_json_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="cannot be read as json"):
        read_prompts(written(tmp_path, "[{", "prompts.json"))


def test_missing_files_and_unknown_suffixes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="is no file"):
        read_prompts(tmp_path / "prompts.yaml")
    with pytest.raises(FileFormatError, match=r"'\.txt' is not known"):
        read_prompts(written(tmp_path, YAML, "prompts.txt"))
    with pytest.raises(ParameterError, match=r"not as 'prompts\.txt'"):
        write_prompts([Prompt.from_text("a")], tmp_path / "prompts.txt")


def test_nothing_is_written_for_no_prompts_or_ids_that_are_not_distinct(tmp_path: Path) -> None:
    for prompts in ([], [Prompt.from_text("a", id="x"), Prompt.from_text("b", id="x")]):
        with pytest.raises(DataError, match="distinct ids"):
            write_prompts(prompts, tmp_path / "prompts.yaml")
    with pytest.raises(DataError, match="'y' has the same wording as 'x'"):
        write_prompts([Prompt.from_text("a", id="x"), Prompt.from_text("a", id="y")], tmp_path / "prompts.yaml")
    assert not list(tmp_path.iterdir())


texts = st.text(st.characters(codec="utf-8"), max_size=40)
names = texts.filter(lambda name: bool(name.strip()))
messages = st.builds(Message, st.sampled_from(ROLES), names)
any_prompts = st.one_of(
    st.builds(lambda name, before, after: Prompt(name, before + "{{query}}" + after), names, texts, texts),
    st.builds(
        lambda name, text, context: Prompt.from_text(text, id=name, context=context),
        names,
        names,
        st.lists(st.one_of(messages, st.just(Message("user", "{{query}}"))), max_size=3),
    ),
)
prompt_sets = st.lists(
    any_prompts,
    min_size=1,
    max_size=5,
    unique_by=(lambda prompt: prompt.id, lambda prompt: (prompt.template, prompt.context)),
)


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
@given(prompts=prompt_sets)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, suffix: str, prompts: list[Prompt]) -> None:
    path = tmp_path_factory.mktemp("round_trip") / f"prompts.{suffix}"
    write_prompts(prompts, path)
    assert read_prompts(path) == tuple(prompts)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_wordings_that_differ_in_their_context_are_distinct() -> None:
    check_distinct(
        [
            Prompt("a", "{{query}}"),
            Prompt("b", "{{query}}", (Message("system", "c"),)),
            Prompt("c", "{{query}}", (Message("user", "c"),)),
        ]
    )


def test_a_long_prompt_set_is_checked_at_once() -> None:
    check_distinct(Prompt(str(number), f"{{{{query}}}} {number}") for number in range(100_000))
