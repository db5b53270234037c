"""Times as people and platforms write them, and as they are shown.

Times without a zone are of the course's zone, or of this computer's.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, tzinfo
from zoneinfo import ZoneInfo

from minires.coursework.tables import plain_name
from minires.text import shown

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


def changed_clock(moment: datetime, zone: tzinfo | None) -> str:
    """That a time is twice or never on the course's clock, and which is taken; else empty."""
    if moment.tzinfo is not None:
        return ""
    first, second = (located(moment.replace(fold=fold), zone).utcoffset() for fold in (0, 1))
    if first is None or second is None or first == second:
        return ""
    if first < second:
        why = "is never, as clocks go forward there"
    else:
        why = "is twice, as clocks go back there"
    return f"{moment:%Y-%m-%d %H:%M} {why}; taken is {told(moment, zone)}"


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
    there = instant(moment, zone).astimezone(zone)
    seconds = f":{there:%S}" if there.second else ""
    return f"{there:%Y-%m-%d %H:%M}{seconds} {there:%Z}"
