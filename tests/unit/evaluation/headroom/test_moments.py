from __future__ import annotations

import numpy as np
import pytest

from prompt_oirl.evaluation.headroom.moments import BlockSums, Moments, blocks_of, regular_covariance

NOISE = 0.002


def test_moments_are_those_of_the_probabilities_and_not_of_the_rewards(draw, crossed) -> None:
    many = np.tile(crossed, (30, 1))
    logs = draw(many, 3)
    found = Moments.of(BlockSums.of(logs, blocks_of(logs, logs.groups(), seed=0)))
    assert found.means == pytest.approx(many.mean(axis=0), abs=0.01)
    assert found.covariance == pytest.approx(np.cov(many.T), abs=4 * NOISE)
    assert found.noise == pytest.approx((many * (1 - many)).mean(axis=0), abs=4 * NOISE)


def test_trials_may_differ_from_cell_to_cell(draw, crossed) -> None:
    many = np.tile(crossed, (30, 1))
    trials = np.random.default_rng(1).integers(0, 6, many.shape)
    logs = draw(many, trials)
    found = Moments.of(BlockSums.of(logs, np.zeros(len(many), int)))
    assert found.covariance == pytest.approx(np.cov(many.T), abs=6 * NOISE)


def test_single_trials_tell_no_noise_and_no_variance(draw, crossed) -> None:
    logs = draw(crossed, 1)
    found = Moments.of(BlockSums.of(logs, np.zeros(600, int)))
    assert not found.has_repeats
    assert np.isnan(np.diagonal(found.covariance)).all()
    assert np.isfinite(found.covariance[0, 1])


def test_a_block_left_out_is_as_if_it_had_never_been_logged(draw, crossed) -> None:
    logs = draw(crossed)
    blocks = blocks_of(logs, logs.groups(), seed=0)
    rest = logs.select_queries(np.flatnonzero(blocks != 7))
    left_out = Moments.of(BlockSums.of(logs, blocks).without(7))
    alone = Moments.of(BlockSums.of(rest, np.zeros(rest.n_queries, int)))
    assert left_out.means == pytest.approx(alone.means)
    assert left_out.covariance == pytest.approx(alone.covariance)
    before = Moments.of(BlockSums.of(logs, blocks).before(3))
    first = logs.select_queries(np.flatnonzero(blocks < 3))
    alone = Moments.of(BlockSums.of(first, np.zeros(first.n_queries, int)))
    assert before.covariance == pytest.approx(alone.covariance)


def test_blocks_keep_groups_whole(draw, crossed) -> None:
    logs = draw(crossed)
    groups = np.arange(600) // 7
    blocks = blocks_of(logs, groups, seed=3)
    assert set(blocks.tolist()) == set(range(20))
    assert all(len(set(blocks[groups == group].tolist())) == 1 for group in range(groups.max() + 1))


def test_the_regular_covariance_is_positive_and_steady(draw) -> None:
    equal = np.full((40, 4), 0.5)
    logs = draw(equal, 2)
    sums = BlockSums.of(logs, blocks_of(logs, logs.groups(), seed=0))
    regular = regular_covariance(sums)
    assert np.linalg.eigvalsh(regular).min() >= -1e-12
    apart = Moments.of(sums).covariance
    assert np.abs(regular - np.diag(np.diagonal(regular))).max() < np.abs(apart - np.diag(np.diagonal(apart))).max()
