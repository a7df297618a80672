"""Timing several ways to do a thing side by side, and what comes of it."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Of one side: for each round, how long each of its calls took, in seconds.
Timings = list[list[float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    :ivar part: verification, throughput or replay.
    :ivar what: which two things are compared, and where.
    :ivar ratio: the median over the rounds, with ``least`` and ``most``.
    :ivar target: what was promised of the ratio, such as ``"≤ 2.0"``; empty for a figure that only informs.
    :ivar detail: the absolute figures behind the ratio.
    """

    part: str
    what: str
    ratio: float
    least: float
    most: float
    target: str
    detail: str

    @property
    def verdict(self) -> str:
        """Whether the median keeps the promise."""
        if not self.target:
            return ""
        sign, bound = self.target.split()
        met = self.ratio <= float(bound) if sign == "≤" else self.ratio >= float(bound)
        return "met" if met else "missed"


def compare(part: str, what: str, over: Sequence[float], under: Sequence[float], *, target: str, detail: str) -> Row:
    """Return the row of the ratio ``over / under``, taken round by round."""
    ratios = [above / below for above, below in zip(over, under, strict=True)]
    return Row(part, what, statistics.median(ratios), min(ratios), max(ratios), target, detail)


def means(timings: Timings) -> list[float]:
    """Return the mean call of each round: the figure where rare, expensive calls belong to the cost."""
    return [statistics.fmean(calls) for calls in timings]


def medians(timings: Timings) -> list[float]:
    """Return the median call of each round: the figure for pure computation, where a slow call was interrupted."""
    return [statistics.median(calls) for calls in timings]


def interleave(
    sides: Mapping[str, Callable[[], Any]],
    *,
    rounds: int,
    calls: int,
    after_round: Callable[[], None] = lambda: None,
) -> dict[str, Timings]:
    """Call every side ``calls`` times in each round, in turn, and time each call.

    Whatever else the machine does hits all sides alike, and none is always the first. Objects that exist
    already are kept out of the garbage collector's way, which would otherwise charge the preparation of a run
    to the side that happens to allocate more.
    """
    gc.collect()
    gc.freeze()
    timings: dict[str, Timings] = {name: [] for name in sides}
    there = list(sides.items())
    back = there[::-1]
    for _ in range(rounds):
        for taken in timings.values():
            taken.append([])
        for number in range(calls):
            for name, call in back if number % 2 else there:
                started = time.perf_counter()
                call()
                timings[name][-1].append(time.perf_counter() - started)
        after_round()
    gc.unfreeze()
    return timings
