"""Contract suites: what every implementation of a protocol must do, checked through the protocol alone.

Each takes a function that makes a fresh instance, and raises AssertionError with what is broken:

```python
def test_my_model() -> None:
    check_reward_model(MyModel)
```
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.base import BaseEstimator, clone

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import NotFittedError, UnseenPromptError
from prompt_oirl.features.protocol import Embedder, TextFeatures
from prompt_oirl.grading import Grade, Grader
from prompt_oirl.policies import Policy
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.protocol import RewardModel
from prompt_oirl.testing.world import SyntheticWorld

__all__ = ["check_embedder", "check_grader", "check_policy", "check_reward_model", "check_text_features"]

_UNSEEN_PROMPT = Prompt.from_text("Answer as a patient teacher would.", id="unseen-by-any-model")


def check_reward_model(make: Callable[[], RewardModel], *, tolerance: float = 1e-9) -> None:
    """Check a reward model on a small synthetic world with missing trials.

    Args:
        make: Makes an unfitted model.
        tolerance: By how much scores that should be equal may differ.

    Raises:
        AssertionError: With what is broken.
    """
    train, test = _train_and_test()
    queries, prompts = test.queries, test.prompts
    _require(isinstance(make(), RewardModel), "has gives_probabilities, fit and score")
    _require_not_fitted(lambda: make().score(queries, prompts), "score before fit")
    model = make()
    before = _copy_of(train)
    _require(model.fit(train) is model, "fit returns self")
    _require(_are_same(train, before), "fit leaves its demonstrations as they were")
    scores = model.score(queries, prompts)
    _require(scores.shape == (len(queries), len(prompts)), f"scores are (n_queries, n_prompts), got {scores.shape}")
    _require(bool(np.isfinite(scores).all()), "scores are finite")
    _check_probabilities(model, scores)
    _check_pointwise(model.score, queries, prompts, scores, tolerance)
    _check_refits(make, model, train, test, tolerance)
    _check_unseen_prompt(model, queries, prompts, scores, tolerance)


def check_policy(make: Callable[[Demonstrations], Policy]) -> None:
    """Check a policy on a small synthetic world.

    Args:
        make: Makes a policy that can choose for the demonstrations it is given, all of their prompts included.

    Raises:
        AssertionError: With what is broken.
    """
    demonstrations = _world().demonstrations
    queries, prompts = demonstrations.queries, demonstrations.prompts
    before = _copy_of(demonstrations)
    policy = make(demonstrations)
    _require(isinstance(policy, Policy), "has choose")
    choices = policy.choose(queries, prompts)
    _require(choices.shape == (len(queries),), f"choices are (n_queries,), got {choices.shape}")
    _require(np.issubdtype(choices.dtype, np.integer), f"choices are integers, got {choices.dtype}")
    _require(bool(((choices >= 0) & (choices < len(prompts))).all()), "choices are indices of the prompts")
    _require(_equal(policy.choose(queries, prompts), choices), "the same question gets the same choices")
    _require(_equal(make(demonstrations).choose(queries, prompts), choices), "two policies made alike choose alike")
    order = np.random.default_rng(0).permutation(len(queries))
    permuted = policy.choose([queries[i] for i in order], prompts)
    _require(_equal(permuted, choices[order]), "the order of the queries does not matter")
    one_by_one = np.concatenate([policy.choose([query], prompts) for query in queries[:10]])
    _require(_equal(one_by_one, choices[:10]), "a query alone gets the choice that it gets in a batch")
    _require(policy.choose([], prompts).shape == (0,), "no query, no choice")
    _require(_are_same(demonstrations, before), "choosing leaves the demonstrations as they were")


def check_text_features(make: Callable[[], TextFeatures], *, tolerance: float = 1e-9) -> None:
    """Check text features on the problems of a small synthetic world.

    Args:
        make: Makes unfitted features.
        tolerance: By how much numbers that should be equal may differ.

    Raises:
        AssertionError: With what is broken.
    """
    train, test = _texts()
    _require(isinstance(make(), TextFeatures), "has fit and transform")
    _require_not_fitted(lambda: make().transform(test), "transform before fit")
    features = make()
    given = list(train)
    _require(features.fit(given) is features, "fit returns self")
    _require(given == train, "fit leaves its texts as they were")
    made = features.transform(test)
    _require(made.ndim == 2 and len(made) == len(test), f"features are (n_texts, n_features), got {made.shape}")
    _require(made.dtype == np.float64, f"features are float64, got {made.dtype}")
    _require(bool(np.isfinite(made).all()), "features are finite")
    unknown = features.transform(["zyzzyva", "?", "1"])
    _require(unknown.shape == (3, made.shape[1]), "texts of unknown words have as many features")
    _require(bool(np.isfinite(unknown).all()), "texts of unknown words have finite features")
    _require(_close(make().fit(train).transform(test), made, tolerance), "a refit gives the same features")
    _require(_close(features.fit(train).transform(test), made, tolerance), "fitting again gives the same features")
    _check_textwise(features.transform, test, made, tolerance)


def check_embedder(
    make: Callable[[], Embedder], *, texts: Sequence[str] | None = None, tolerance: float = 1e-5
) -> None:
    """Check an embedder.

    Args:
        make: Makes an embedder.
        texts: At least three different texts that it can embed; the problems of a small synthetic world if not given.
        tolerance: By how much numbers that should be equal may differ.

    Raises:
        AssertionError: With what is broken.
    """
    texts = _texts()[1] if texts is None else texts
    embedder = make()
    _require(isinstance(embedder, Embedder), "has name and embed")
    _require(isinstance(embedder.name, str) and bool(embedder.name.strip()), f"has a name, got {embedder.name!r}")
    _require(make().name == embedder.name, "two embedders made alike have one name")
    vectors = embedder.embed(texts)
    _require(vectors.ndim == 2 and len(vectors) == len(texts), f"vectors are (n_texts, n_dims), got {vectors.shape}")
    _require(vectors.dtype == np.float32, f"vectors are float32, got {vectors.dtype}")
    _require(bool(np.isfinite(vectors).all()), "vectors are finite")
    _require(len(np.unique(vectors, axis=0)) > 1, "different texts have different vectors")
    _require(_close(make().embed(texts), vectors, tolerance), "two embedders made alike embed alike")
    _check_textwise(embedder.embed, texts, vectors, tolerance)


def check_grader(make: Callable[[], Grader], *, golds: Sequence[str] = ("42", "7", "1250")) -> None:
    """Check a grader.

    Args:
        make: Makes a grader.
        golds: Gold answers that it can read, all different.

    Raises:
        AssertionError: With what is broken.
    """
    grader = make()
    _require(isinstance(grader, Grader), "has grade")
    for gold in golds:
        _require(grader.grade(gold, gold) is Grade.CORRECT, f"the gold answer {gold!r} is correct")
        _require(grader.grade(f" {gold}\n", gold) is Grade.CORRECT, f"white space around {gold!r} does not matter")
        _require(grader.grade("", gold) is not Grade.CORRECT, "no answer is not correct")
        _require(grader.grade("   \n", gold) is not Grade.CORRECT, "a blank answer is not correct")
        for other in set(golds) - {gold}:
            _require(grader.grade(other, gold) is Grade.WRONG, f"{other!r} is wrong where {gold!r} is right")
        for answer in ("", gold, "I cannot tell.", f"I think it is {gold}."):
            grades = {grader.grade(answer, gold), make().grade(answer, gold)}
            _require(len(grades) == 1, f"{answer!r} is graded alike each time, got {grades}")
            _require(isinstance(grades.pop(), Grade), f"{answer!r} gets a Grade")


def _world() -> SyntheticWorld:
    return SyntheticWorld(n_queries=120, missing=0.1, seed=7)


def _train_and_test() -> tuple[Demonstrations, Demonstrations]:
    return _world().demonstrations.split(test_size=0.25, seed=0)


def _texts() -> tuple[list[str], list[str]]:
    texts = [query.text for query in _world().queries]
    return texts[:90], texts[90:]


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"broken: {what}")


def _require_not_fitted(call: Callable[[], object], what: str) -> None:
    try:
        call()
    except NotFittedError:
        return
    raise AssertionError(f"broken: {what} raises NotFittedError")


def _close(a: FloatArray, b: FloatArray, tolerance: float) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=tolerance, atol=tolerance))


def _equal(a: IntArray, b: IntArray) -> bool:
    return bool(np.array_equal(a, b))


def _copy_of(demonstrations: Demonstrations) -> Demonstrations:
    return demonstrations.select_queries(np.arange(demonstrations.n_queries))


def _are_same(a: Demonstrations, b: Demonstrations) -> bool:
    counts = ("trials", "successes", "unscored")
    is_same_text = (a.queries, a.prompts) == (b.queries, b.prompts)
    return is_same_text and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in counts)


def _check_probabilities(model: RewardModel, scores: FloatArray) -> None:
    _require(isinstance(model.gives_probabilities, bool), "gives_probabilities is a bool")
    if model.gives_probabilities:
        _require(bool(((scores >= 0) & (scores <= 1)).all()), "what gives probabilities gives them from 0 to 1")


def _check_pointwise(
    score: Callable[[Sequence[Query], Sequence[Prompt]], FloatArray],
    queries: Sequence[Query],
    prompts: Sequence[Prompt],
    scores: FloatArray,
    tolerance: float,
) -> None:
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(len(queries)), rng.permutation(len(prompts))
    by_query = score([queries[i] for i in rows], prompts)
    _require(_close(by_query, scores[rows], tolerance), "permuted queries have permuted scores")
    by_prompt = score(queries, [prompts[j] for j in columns])
    _require(_close(by_prompt, scores[:, columns], tolerance), "permuted prompts have permuted scores")
    for row in range(3):
        alone = score([queries[row]], prompts)
        _require(_close(alone, scores[[row]], tolerance), "a query alone has the scores that it has in a batch")
    first = score(queries, prompts[:1])
    _require(_close(first, scores[:, :1], tolerance), "a prompt alone has the scores that it has among others")


def _check_refits(
    make: Callable[[], RewardModel], model: RewardModel, train: Demonstrations, test: Demonstrations, tolerance: float
) -> None:
    scores = model.score(test.queries, test.prompts)

    def refit_is_same(other: RewardModel) -> bool:
        return _close(other.fit(train).score(test.queries, test.prompts), scores, tolerance)

    _require(refit_is_same(make()), "two models made and fitted alike score alike")
    _require(isinstance(model, BaseEstimator), "is a scikit-learn estimator: __init__ only stores its arguments")
    copy: RewardModel = clone(model)
    _require_not_fitted(lambda: copy.score(test.queries, test.prompts), "score of an unfitted clone")
    _require(refit_is_same(copy), "a clone fitted alike scores alike")
    fewer = train.select_queries(np.arange(train.n_queries // 2)).select_prompts([0, 1, 2])
    _require(refit_is_same(make().fit(fewer)), "fitting again forgets what was learnt before")


def _check_unseen_prompt(
    model: RewardModel, queries: Sequence[Query], prompts: Sequence[Prompt], scores: FloatArray, tolerance: float
) -> None:
    try:
        wider = model.score(queries, [*prompts, _UNSEEN_PROMPT])
    except UnseenPromptError:
        return
    _require(bool(np.isfinite(wider).all()), "an unseen prompt has finite scores, or UnseenPromptError is raised")
    _require(_close(wider[:, :-1], scores, tolerance), "an unseen prompt does not change the scores of the others")


def _check_textwise(
    transform: Callable[[Sequence[str]], FloatArray], texts: Sequence[str], made: FloatArray, tolerance: float
) -> None:
    order = np.random.default_rng(0).permutation(len(texts))
    permuted = transform([texts[i] for i in order])
    _require(_close(permuted, made[order], tolerance), "permuted texts have permuted rows")
    for row in range(3):
        alone = transform([texts[row]])
        _require(_close(alone, made[[row]], tolerance), "a text alone has the row that it has in a batch")
    twice = transform([texts[0], texts[0]])
    _require(_close(twice[0], twice[1], tolerance), "equal texts have equal rows")
