"""Some sixty statistics of a text's surface: lengths, numbers, marks, what is asked, key words.

On arithmetic word problems they carry more about which prompt works than a sentence embedding does; on other texts
most are simply constant, which tree models ignore. All of them are counts, shares and logarithms: finite for any text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.features.tokens import Tokens, is_number, is_word, sorted_distinct, tokenize

__all__ = [
    "HOW",
    "KEY_NAMES",
    "KEY_OF_WORD",
    "LAST_KEYS",
    "MARK_KINDS",
    "SPACED_MARKS",
    "SURFACE_NAMES",
    "WH",
    "number_value",
    "surface_statistics",
    "token_statistics",
]

_LENGTHS = (
    "log_words",  # words and numbers
    "log_characters",  # letters, digits and marks, without white space
    "log_sentences",
    "words_per_sentence",
    "characters_per_word",
    "share_of_distinct_words",
    "log_words_in_last_sentence",
    "share_of_last_sentence",  # of the words
)
_NUMBERS = (
    "numbers",
    "distinct_numbers",
    "share_of_numbers",  # of words and numbers
    "numbers_in_last_sentence",
    "decimals",  # numbers written with a point, 8.0 among them
    "fractional_numbers",  # numbers that are not whole
    "numbers_over_100",
    "log_smallest",  # of a number x, log(1 + x); 0 where the text has none
    "log_largest",
    "log_mean",  # mean of the logarithms
    "log_first",
    "log_second",
    "log_last",
    "log_ratio_of_first_two",
    "first_exceeds_second",
    "first_divides_second",
    "second_divides_first",
    "ascending",  # the numbers never fall from one to the next, and there are two
)
_MARKS = (
    "marks",
    "spaced_marks",  # share of . , ? ! ; : with white space before: a trait of tokenised text
    "commas",
    "question_marks",
    "currency",
    "percent",
    "slashes",
    "quotes",
    "share_of_capitals",  # of the words, capitalised
)
_KEY_WORDS = {
    "number_words": "one two three four five six seven eight nine ten eleven twelve dozen hundred thousand million",
    "multiples": "twice double thrice triple times",
    "fractions": "half third quarter fourth fifth thirds quarters fourths fraction",
    "more": "more greater larger bigger longer taller older heavier extra additional",
    "less": "less fewer smaller shorter younger lighter",
    "each": "each every apiece",
    "per": "per rate speed average",
    "total": "total altogether all sum together combined both entire",
    "left": "left remain remains remaining remainder still",
    "difference": "difference than compared",
    "share": "share shared divide divided equally split evenly distribute among into",
    "give": "give gives gave given lost loses sold sell sells ate eat eats used use spent spend spends away took takes",
    "get": "get gets got receive received bought buy buys found find finds earn earns earned made make makes added",
    "money": "cost costs price pay pays paid dollar dollars cent cents money worth profit",
    "time": "hour hours minute minutes second seconds day days week weeks month months year years",
    "measure": "mile miles meter meters feet foot inch inches pound pounds kilogram kilograms gallon gallons cup cups",
    "condition": "if when then after before until while",
    "negation": "not no never without n't none",
    "begin": "begin beginning initially originally start started first had",
    "need": "need needs needed must should enough",
}
_QUESTIONS = (
    "how_many",  # the rest count in the last sentence only
    "how_much",
    "how_many_more",
    "how_other",  # how long, how far, how old
    "what",
    "who_which_where_when_why",
    "last_total",
    "last_left",
    "last_each",
    "last_difference",
    "last_condition",
)

SURFACE_NAMES: tuple[str, ...] = (*_LENGTHS, *_NUMBERS, *_MARKS, *_KEY_WORDS, *_QUESTIONS)
"""The names of the statistics, in the order of the columns."""

KEY_NAMES: tuple[str, ...] = tuple(_KEY_WORDS)
"""The statistics that count key words."""

KEY_OF_WORD = {word: key for key, words in enumerate(_KEY_WORDS.values()) for word in words.split()}
"""Index into `KEY_NAMES` by lower-cased word."""

LAST_KEYS = [KEY_NAMES.index(name) for name in ("total", "left", "each", "difference", "condition")]
"""Indices of the key words that are counted in the last sentence too."""

HOW = {"how": 1, "many": 2, "much": 3, "more": 4, "less": 4, "fewer": 4}
"""Lower-cased words of which questions for a number are made."""

WH = {"what": 1, "who": 2, "whose": 2, "which": 2, "where": 2, "when": 2, "why": 2}
"""Other question words: what, and the rest."""

MARK_KINDS = {
    "commas": ",",
    "question_marks": "?",
    "currency": "$£€¥",
    "percent": "%",
    "slashes": "/",
    "quotes": "\"'“”‘’",
}
"""The marks counted together, by statistic."""

SPACED_MARKS = ".,?!;:"
"""Marks that have white space before them in tokenised text only."""

_LARGEST = 1e15

_Columns = list[FloatArray | IntArray]


def surface_statistics(texts: Sequence[str]) -> FloatArray:
    """Return (n_texts, n_statistics) the statistics named by `SURFACE_NAMES`."""
    return token_statistics(tokenize(texts))


def token_statistics(tokens: Tokens) -> FloatArray:
    """Return what `surface_statistics` does, from tokens."""
    last = tokens.last_sentence()
    columns = [
        *_length_statistics(tokens, last),
        *_number_statistics(tokens, last),
        *_mark_statistics(tokens),
        *_word_statistics(tokens, last),
    ]
    return np.column_stack(columns).astype(np.float64)


def _share(part: FloatArray | IntArray, whole: FloatArray | IntArray) -> FloatArray:
    """Return part / whole, 0 where the whole is 0."""
    share: FloatArray = np.zeros(len(part))
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def _length_statistics(tokens: Tokens, last: BoolArray) -> _Columns:
    wordlike = tokens.where(lambda form: form[-1].isalnum())
    words, words_in_last = tokens.count(wordlike), tokens.count(wordlike & last)
    sentences = tokens.count(tokens.sentence_ends()) + 1
    length = np.fromiter((len(form.lstrip()) for form in tokens.forms), np.int64, len(tokens.forms))[tokens.form]
    characters = np.bincount(tokens.text, length, tokens.n_texts)
    word_characters = np.bincount(tokens.text, length * wordlike, tokens.n_texts)
    return [
        np.log1p(words),
        np.log1p(characters),
        np.log(sentences),
        words / sentences,
        _share(word_characters, words),
        _share(_distinct(tokens, wordlike), words),
        np.log1p(words_in_last),
        _share(words_in_last, words),
    ]


def _distinct(tokens: Tokens, kept: BoolArray) -> IntArray:
    """Return (n_texts,) how many distinct forms each text has among the tokens kept."""
    pairs = sorted_distinct(tokens.text[kept] * len(tokens.forms) + tokens.form[kept])
    return np.bincount(pairs // max(len(tokens.forms), 1), minlength=tokens.n_texts)


def number_value(form: str) -> float:
    """Return the number that a token stands for; of "1.2.3", 1.2; capped where a float would overflow."""
    whole, _, fraction = form.replace(",", "").partition(".")
    return min(float(f"{whole or 0}.{fraction.partition('.')[0]}"), _LARGEST)


def _number_statistics(tokens: Tokens, last: BoolArray) -> _Columns:
    numeric = tokens.where(is_number)
    form, text = tokens.form[numeric], tokens.text[numeric]
    value_of_form = np.array([number_value(f) if is_number(f) else 0.0 for f in tokens.forms])
    pointed = tokens.forms_where(lambda f: is_number(f) and "." in f)
    value = value_of_form[form]
    count = np.bincount(text, minlength=tokens.n_texts)
    counts: _Columns = [
        count,
        _distinct(tokens, numeric),
        _share(count, tokens.count(tokens.where(lambda f: f[-1].isalnum()))),
        tokens.count(numeric & last),
        np.bincount(text[pointed[form]], minlength=tokens.n_texts),
        np.bincount(text[value % 1 > 0], minlength=tokens.n_texts),
        np.bincount(text[value > 100], minlength=tokens.n_texts),
    ]
    return counts + _magnitudes(value, text, count)


def _magnitudes(value: FloatArray, text: IntArray, count: IntArray) -> _Columns:
    """Return the statistics of the numbers' sizes and order; `value` and `text` are (n_numbers,)."""
    start = np.cumsum(count) - count
    some, two = count > 0, count > 1
    log = np.log1p(value)

    def at(place: IntArray, where: BoolArray, of: FloatArray) -> FloatArray:
        picked: FloatArray = np.zeros(len(count))
        picked[where] = of[place[where]]
        return picked

    def extreme(ufunc: np.ufunc) -> FloatArray:
        reduced: FloatArray = np.zeros(len(count))
        reduced[some] = ufunc.reduceat(log, start[some]) if some.any() else 0.0
        return reduced

    falls = np.zeros(len(value))
    falls[1:] = (np.diff(value) < 0) & (np.diff(text) == 0)
    first, second = at(start, two, value), at(start + 1, two, value)
    log_first, log_second = at(start, some, log), at(start + 1, two, log)
    return [
        extreme(np.minimum),
        extreme(np.maximum),
        _share(np.bincount(text, log, len(count)), count),
        log_first,
        log_second,
        at(start + count - 1, some, log),
        np.where(two, log_first - log_second, 0.0),
        (first > second).astype(float),
        _divides(first, second),
        _divides(second, first),
        (two & (np.bincount(text, falls, len(count)) == 0)).astype(float),
    ]


def _divides(divisor: FloatArray, number: FloatArray) -> FloatArray:
    """Return 1.0 where `number` is a whole multiple of `divisor`, which is not 0."""
    remainder: FloatArray = np.ones(len(number))
    np.remainder(number, divisor, out=remainder, where=divisor > 0)
    divides: FloatArray = (remainder == 0).astype(float)
    return divides


def _mark_statistics(tokens: Tokens) -> _Columns:
    def count(marks: str) -> IntArray:
        return tokens.count(tokens.where(lambda form: form[-1] in marks))

    marks = tokens.where(lambda form: not form[-1].isalnum())
    spaced = tokens.where(lambda form: form[0].isspace() and form[-1] in SPACED_MARKS)
    capitals, words = tokens.count(tokens.where(lambda form: form[0].isupper())), tokens.count(tokens.where(is_word))
    return [
        tokens.count(marks),
        _share(tokens.count(spaced), count(SPACED_MARKS)),
        *map(count, MARK_KINDS.values()),
        _share(capitals, words),
    ]


def _word_statistics(tokens: Tokens, last: BoolArray) -> _Columns:
    lower = [form.lower() for form in tokens.forms]
    key = np.array([KEY_OF_WORD.get(word, -1) for word in lower], dtype=np.int64)[tokens.form]
    n_keys = len(_KEY_WORDS)

    def count_keys(kept: BoolArray) -> IntArray:
        cells = tokens.text[kept] * n_keys + key[kept]
        return np.bincount(cells, minlength=tokens.n_texts * n_keys).reshape(tokens.n_texts, n_keys)

    return [
        *count_keys(key >= 0).T,
        *_question_statistics(tokens.select(last), lower),
        *count_keys((key >= 0) & last)[:, LAST_KEYS].T,
    ]


def _question_statistics(tokens: Tokens, lower: Sequence[str]) -> _Columns:
    """Count what the last sentences ask; `tokens` are theirs, `lower` are the lower-cased forms."""
    word = np.array([HOW.get(form, 0) for form in lower], dtype=np.int64)[tokens.form]
    wh = np.array([WH.get(form, 0) for form in lower], dtype=np.int64)[tokens.form]
    how, many, much, more = 1, 2, 3, 4

    def follows(distance: int, code: int) -> BoolArray:
        found = np.zeros(len(word), dtype=bool)
        there = (word[distance:] == code) & (tokens.text[distance:] == tokens.text[:-distance])
        found[: len(there)] = there
        return found

    asked = word == how
    how_many, how_much = asked & follows(1, many), asked & follows(1, much)
    how_many_more = (how_many | how_much) & follows(2, more)
    kinds = (how_many, how_much, how_many_more, asked & ~how_many & ~how_much, wh == 1, wh == 2)
    return [tokens.count(kind) for kind in kinds]
