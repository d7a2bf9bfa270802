"""From the options of `collect` and `critique` to what is asked: an order, or a critic."""

from __future__ import annotations

from pathlib import Path

from prompt_oirl.collect.critique.critic import Critic
from prompt_oirl.collect.local.checkpoint import local_base_url
from prompt_oirl.collect.local.decoding import check_local_parameters
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.plan.budget import Budget
from prompt_oirl.collect.plan.prices import Price, PriceFile
from prompt_oirl.collect.strategies.protocol import FullGrid, Strategy
from prompt_oirl.collect.strategies.random_cells import RandomFraction
from prompt_oirl.collect.strategies.uncertain import Uncertain
from prompt_oirl.errors import ParameterError
from prompt_oirl.grading import check_golds, get_grader
from prompt_oirl.prompts import read_prompts
from prompt_oirl.records import Prompt, Question
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.sources.queries import named_questions, read_queries, release_prompt_set
from prompt_oirl.sources.text_file import read_text

__all__ = [
    "configuration_of",
    "critic_of",
    "order_of",
    "price_of",
    "questions_and_prompts",
    "strategy_of",
]

_STRATEGIES = ("full", "random", "random-cells", "uncertain")


def configuration_of(
    model: str | None, base_url: str, *, local: Path | None, parameters: SamplingParameters
) -> RunConfiguration:
    """Return which LLM is asked: a server's model, or a checkpoint folder."""
    if local is not None:
        if model is not None:
            raise ParameterError(f"--model {model} and --local {local} are two LLMs; give one of them")
        check_local_parameters(parameters)
        return RunConfiguration(local.resolve().name, local_base_url(local), parameters)
    if model is None:
        raise ParameterError("which LLM is to be asked? Give --model, or --local with a checkpoint folder")
    return RunConfiguration(model, base_url, parameters)


def questions_and_prompts(
    queries: Path | None,
    prompts: Path | None,
    *,
    dataset: str | None,
    part: str,
    data: Path | None,
    require_gold: bool,
) -> tuple[tuple[Question, ...], tuple[Prompt, ...]]:
    """Read what is asked and how: from files, or from a data set of the paper."""
    if (queries is None) == (dataset is None):
        raise ParameterError("either --queries or --dataset says what is asked; give one of them")
    if dataset is not None:
        questions = named_questions(dataset, data, part=part)  # type: ignore[arg-type]  # it checks both
        return questions, release_prompt_set(dataset, data) if prompts is None else read_prompts(prompts)  # type: ignore[arg-type]
    if prompts is None or queries is None:
        raise ParameterError("--prompts is missing: a prompt set, .yaml or .json, says how the queries are asked")
    return read_queries(queries, require_gold=require_gold), read_prompts(prompts)


def strategy_of(name: str, *, fraction: float, seed: int, grader: str | None) -> Strategy:
    """Return the strategy of that name."""
    if name == "uncertain" and grader is None:
        raise ParameterError("--strategy uncertain learns from what it has bought; give a --grader")
    if name == "full":
        return FullGrid()
    if name == "uncertain":
        return Uncertain(fraction, seed=seed)
    if name in _STRATEGIES:
        return RandomFraction(fraction, seed=seed, whole_queries=name == "random")
    raise ParameterError(f"there is no strategy {name!r}; use one of {', '.join(_STRATEGIES)}")


def price_of(model: str, prices: Path | None, *, budget: Budget) -> Price | None:
    """Return the model's price, None where it is not known and no cap needs it."""
    return budget.price_of(model, None if prices is None else PriceFile.read(prices))


def order_of(
    configuration: RunConfiguration,
    questions: tuple[Question, ...],
    prompts: tuple[Prompt, ...],
    *,
    n_samples: int,
    strategy: Strategy,
    grader: str | None,
    budget: Budget,
    prices: Path | None,
    tokenizer: Path | None,
    retry_failed: bool,
) -> Order:
    """Return the order, once the named grader can read every gold answer and the model's price is known."""
    graded_by = None
    if grader is not None:
        graded_by = get_grader(grader)
        check_golds(questions, graded_by, name=grader)
    return Order(
        configuration=configuration,
        questions=questions,
        prompts=prompts,
        n_samples=n_samples,
        strategy=strategy,
        grader=graded_by,
        budget=budget,
        price=price_of(configuration.model, prices, budget=budget),
        tokenizer=tokenizer,
        retry_failed=retry_failed,
    )


def critic_of(template: Path | None, *, temperature: float, max_tokens: int) -> Critic:
    """Return how answers are to be judged, by a template of the user's if there is one."""
    if template is None:
        return Critic(temperature=temperature, max_tokens=max_tokens)
    return Critic(read_text(template), temperature, max_tokens)
