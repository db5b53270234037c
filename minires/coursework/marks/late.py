"""When something was due and when it came, and what that costs.

Days are the calendar's: where a clock is changed, a day later is the same time of the next day. An
hour is 60 minutes always.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Self

from minires.coursework.dates_and_times import instant
from minires.text import shown

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
UNITS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}


@dataclass(frozen=True)
class Penalty:
    """What each begun hour, day or week costs: "10% per day, at most 50%"; without one, "20%".

    Attributes
    ----------
    text : str
        As it was written.
    amount : float
    percent : bool
        Whether it is of the points that were earned; otherwise it is points.
    unit : str
        "hour", "day" or "week"; empty if it is taken once.
    most : tuple of (float, bool)
        At most so many, and whether that is percent.
    """

    text: str
    amount: float
    percent: bool
    unit: str
    most: tuple[float, bool] = (100.0, True)

    @classmethod
    def read(cls, text: str) -> Self:
        """From a text.

        Raises
        ------
        ValueError
            If it is none.
        """
        match = PENALTY.fullmatch(" ".join(text.split()))
        if match is None:
            raise ValueError(
                f'{shown(text)!r} is no penalty; write it as "10% per day", "2 points per hour", '
                '"20%" or "10% per day, at most 50%"'
            )
        amount, kind, unit, most, most_kind = match.groups()
        each = float(amount), _is_percent(kind)
        limit = (100.0, True) if most is None else (float(most), _is_percent(most_kind))
        if any(percent and number > 100 for number, percent in (each, limit)):
            raise ValueError(f"{shown(text)!r} takes more than 100%")
        return cls(text.strip(), *each, (unit or "").lower(), limit)

    def of(self, points: float, units: int) -> float:
        """What is taken of so many points for so many begun units; never more than there are."""
        taken = _share(self.amount * units, self.percent, points)
        return min(taken, _share(*self.most, points), points)


NUMBER = r"(\d{1,4}(?:\.\d{1,4})?) ?(%|percent|points?)"
PENALTY = re.compile(
    rf"{NUMBER}(?: ?(?:per|a|each|/) ?(?:begun )?(hour|day|week))?(?:,? at most {NUMBER})?",
    re.ASCII | re.IGNORECASE,
)


def _is_percent(kind: str) -> bool:
    return kind.lower() in ("%", "percent")


def _share(amount: float, percent: bool, points: float) -> float:
    return points * amount / 100 if percent else amount


def units_late(came: datetime, due: datetime, unit: str, zone: tzinfo | None) -> int:
    """How many hours, days or weeks have begun since something was due; 0 if it came in time.

    What is due lasts until its minute is over, or its second if it has one. Without a unit it is 0
    or 1.
    """

    def over(units: int) -> datetime:
        step = units * UNITS[unit] if unit else timedelta()
        end = instant(due, zone) + step if unit == "hour" else instant(due + step, zone)
        return end + (SECOND if due.second or due.microsecond else MINUTE)

    came = instant(came, zone)
    if came < over(0):
        return 0
    if not unit:
        return 1
    units = max(1, (came - over(0)) // UNITS[unit] - 1)  # a changed clock is less than a unit
    while came >= over(units):
        units += 1
    return units


def duration(length: timedelta) -> str:
    """A length of time in words: the two largest parts."""
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "day"), (hours, "hour"), (minutes, "minute"), (seconds, "second")]
    named = [f"{n} {name}" + ("s" if n != 1 else "") for n, name in parts if n]
    return " ".join(named[:2]) or "0 seconds"
