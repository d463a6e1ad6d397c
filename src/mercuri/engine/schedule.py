"""When a portal's next run is due: `off`, `every 15m`, or a cron line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from mercuri.errors import UserError

#: A run every minute would never be over before the next.
SHORTEST = timedelta(minutes=5)
_EVERY = re.compile(r"every (\d{1,4})\s*([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def next_time(schedule: str, after: datetime, zone: str = "UTC") -> datetime | None:
    """The first time after `after` (aware) that a schedule names, in UTC; None when it is off.

    A cron line is read in `zone` (IANA name), so that 09:00 stays 09:00 when the clocks change. Raises UserError when
    the text is no schedule, or asks for runs closer together than five minutes.

    >>> next_time("every 15m", datetime(2026, 11, 30, 10, 7, tzinfo=UTC))
    datetime.datetime(2026, 11, 30, 10, 15, tzinfo=datetime.timezone.utc)
    >>> next_time("0 9 * * 1-5", datetime(2026, 11, 27, 10, 0, tzinfo=UTC))
    datetime.datetime(2026, 11, 30, 9, 0, tzinfo=datetime.timezone.utc)
    >>> next_time("off", datetime(2026, 11, 27, tzinfo=UTC)) is None
    True
    """
    text = " ".join(schedule.lower().split())
    if text in ("", "off"):
        return None
    every = _EVERY.fullmatch(text)
    if every:
        step = timedelta(**{_UNITS[every[2]]: int(every[1])})
        if step < SHORTEST:
            raise UserError("The schedule was not changed: runs need at least five minutes between them.")
        seconds = int(step.total_seconds())
        return datetime.fromtimestamp((int(after.timestamp()) // seconds + 1) * seconds, UTC)
    return _cron(text, after, ZoneInfo(zone))


def _cron(line: str, after: datetime, zone: ZoneInfo) -> datetime:
    try:
        times = croniter(line, after.astimezone(zone), ret_type=datetime)
        first, second = times.get_next(datetime), times.get_next(datetime)
    except (CroniterBadCronError, CroniterBadDateError, ValueError) as error:
        raise UserError(
            f"“{line}” is not a schedule. Nothing was changed. Use off, every 15m, every 2h, or a cron line "
            "of five fields such as “0 9 * * 1-5” (weekdays at nine)."
        ) from error
    if len(line.split()) != 5 or second - first < SHORTEST:
        raise UserError("The schedule was not changed: use five cron fields, with at least five minutes between runs.")
    return first.astimezone(UTC)
