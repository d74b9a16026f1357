"""No pod is left that nobody owns, and none is lost that somebody needs, whatever fails in between and wherever a kill falls."""

from __future__ import annotations

import os
import random
from collections import Counter

import anyio
import orphaning
import pytest
from cloud import virtual

# Stories in which a move meets what it can: told by their seeds.
KILLED_EVERYWHERE = (3, 5, 8)


def run(seed: int, folder: str, life: str, *, at: int | None, sweep_at: int | None = None) -> tuple[int, orphaning.Account]:
    """One run of a story: a life, killed at a step or not; a sweep, killed or not; and sweeps until nothing is owed."""
    random.seed(seed)  # the client's pauses

    async def tell() -> tuple[int, orphaning.Account]:
        account = orphaning.Account(orphaning.story(seed), folder)
        process = orphaning.Mortal(at)
        await account.live(process, getattr(account, life))
        await account.live(orphaning.Mortal(sweep_at), account.sweep)
        for _ in range(12):
            await anyio.sleep(300)
            await account.live(orphaning.Mortal(None), account.sweep)
        orphaning.check(account)
        return process.steps, account

    try:
        with orphaning.loops_calendar():
            return virtual.run(tell)
    except AssertionError as error:
        raise AssertionError(f"story {seed}, {life}, killed at {at}, its sweep at {sweep_at}: {error}") from error


def spread(seed: int, folder: str, life: str, kills: int) -> Counter[str]:
    """A story told to its end, and again with a kill at some of its steps. What came of the user's pod."""
    steps, account = run(seed, os.path.join(folder, "whole"), life, at=None)
    ends = Counter({"whole": 1, "moved": account.old.id not in account.world.pods})
    chance = random.Random(seed)
    for number in range(kills):
        at = chance.randint(1, steps)
        sweep_at = chance.choice((None, chance.randint(1, 8)))
        _, account = run(seed, os.path.join(folder, str(number)), life, at=at, sweep_at=sweep_at)
        ends += Counter({"killed": 1, "moved": account.old.id not in account.world.pods})
    return ends


@pytest.mark.slow
@pytest.mark.parametrize(("life", "seeds", "kills"), [("move", 125, 5), ("recreate", 50, 4)])
def test_no_pod_is_forgotten_and_none_that_serves_is_lost_in_a_thousand_runs(life, seeds, kills, tmp_path):
    ends = Counter()
    for seed in range(seeds):
        ends += spread(seed, str(tmp_path / str(seed)), life, kills)
    assert ends["whole"] + ends["killed"] == seeds * (kills + 1)
    assert (ends["moved"] > seeds // 2) == (life == "move"), ends  # the stories are no mere failures


@pytest.mark.slow
@pytest.mark.parametrize("seed", KILLED_EVERYWHERE)
def test_a_move_may_be_killed_at_each_of_its_steps(seed, tmp_path):
    steps, _ = run(seed, str(tmp_path / "whole"), "move", at=None)
    for at in range(1, steps + 1):
        run(seed, str(tmp_path / str(at)), "move", at=at)
