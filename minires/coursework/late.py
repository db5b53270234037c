"""When something was due and when it came, and what that costs.

Times without a zone are of the course's zone, or of this computer's. Days are the calendar's: where
a clock is changed, a day later is the same time of the next day. An hour is 60 minutes always.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo

from minires.coursework.tables import plain_name
from minires.text import shown

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
UNITS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}
MONTHS = (
    "january february march april may june july august september october november december",
    "januar februar marz april mai juni juli august september oktober november dezember",
    "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
)
"""In English, German, French and Spanish, without accents."""
WANTED = "write it as 2026-10-01 23:59, with +02:00 behind it for a zone of its own"


def located(moment: datetime, zone: tzinfo | None) -> datetime:
    """A time with its zone; where it has none, that of the course, or this computer's for None."""
    if moment.tzinfo is not None:
        return moment
    return moment.astimezone() if zone is None else moment.replace(tzinfo=zone)


def instant(moment: datetime, zone: tzinfo | None) -> datetime:
    """A time by which times are compared, whatever was done to clocks between them."""
    return located(moment, zone).astimezone(UTC)


def later(one: datetime | None, other: datetime | None, zone: tzinfo | None) -> datetime | None:
    """The later of two times, or the only one."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other, key=lambda moment: instant(moment, zone))


def read_moment(value: object) -> datetime:
    """A time as people and platforms write it; a day alone is its last minute.

    Raises
    ------
    ValueError
        If it is none, or so many centuries away that it is a slip.
    """
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, date):
        found = datetime.combine(value, time(23, 59))
    else:
        found = _parsed(str(value).strip())
    if not 1990 <= found.year < 2200:
        raise ValueError(f"the year of {shown(str(value))!r} is a slip")
    return found


GERMAN = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:,? +(\d{1,2}):(\d\d)(?::(\d\d))?)?", re.ASCII)
"""As spreadsheets of several countries write it."""

MOODLE = re.compile(
    r"(?:[^\W\d_]+,? )?([0-9]{1,2})\.? (?:de )?([^\W\d_]+) (?:de )?([0-9]{4}), "
    r"([0-9]{1,2}):([0-9]{2}) ?([ap]m)?",
    re.IGNORECASE,
)
"""The column "Last modified (submission)" of a grading worksheet, in the languages of `MONTHS`."""

BLACKBOARD = re.compile(r"(\d{4}-\d\d-\d\d)-(\d\d)-(\d\d)-(\d\d)", re.ASCII)
ZONE = re.compile(r"(.+\d)\s+([A-Za-z][\w/+-]*)", re.ASCII)
"""As nbgrader and Gradescope write it, with the zone's name or Z behind."""


def _parsed(text: str) -> datetime:
    try:
        if match := ZONE.fullmatch(text):
            name = match[2]
            if name.lower() not in ("am", "pm"):
                zone = UTC if name in ("Z", "UTC", "GMT") else ZoneInfo(name)
                return datetime.fromisoformat(match[1]).replace(tzinfo=zone)
        if match := GERMAN.fullmatch(text):
            day, month, year = (int(n) for n in match.groups()[:3])
            clock = match.groups("0")[3:] if match[4] else ("23", "59", "0")
            hour, minute, second = map(int, clock)
            return datetime(year, month, day, hour, minute, second)
        if match := MOODLE.fullmatch(text):
            hour = int(match[4])
            if match[6]:
                hour = hour % 12 + (12 if match[6].lower() == "pm" else 0)
            name = plain_name(match[2])
            [month] = {i for line in MONTHS for i, m in enumerate(line.split(), 1) if m == name}
            return datetime(int(match[3]), month, int(match[1]), hour, int(match[5]))
        if match := BLACKBOARD.fullmatch(text):
            text = f"{match[1]} {match[2]}:{match[3]}:{match[4]}"
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            text += " 23:59"
        return datetime.fromisoformat(text)
    except (ValueError, OSError, LookupError) as error:  # what ZoneInfo raises of strange names
        raise ValueError(f"{shown(text)!r} is no date and time; {WANTED}") from error


def told(moment: datetime, zone: tzinfo | None) -> str:
    """A time as it is shown, on the course's clock."""
    there = located(moment, zone).astimezone(zone)
    seconds = f":{there:%S}" if there.second else ""
    return f"{there:%Y-%m-%d %H:%M}{seconds} {there:%Z}"


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
