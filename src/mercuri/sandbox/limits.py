"""Rate limits: ten-secondly rolling per kind of token, search per second for all together, and the day's allowance."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mercuri.sandbox.answers import Refusal
from mercuri.sandbox.times import DAY_MS


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in so many milliseconds."""

    requests: int
    window_ms: int

    @classmethod
    def parse(cls, text: str | None) -> Limit | None:
        """`"110/10"` is 110 requests in 10 seconds; None is no limit.

        Raises ValueError with a sentence when the text is something else.
        """
        if text is None or text == "":
            return None
        requests, _, seconds = text.partition("/")
        try:
            limit = cls(int(requests), int(float(seconds or "1") * 1000))
        except ValueError:
            raise ValueError(f"A limit is written requests/seconds, such as 110/10, not {text!r}.") from None
        if limit.requests < 1 or limit.window_ms < 1:
            raise ValueError(f"A limit needs at least one request and some time, not {text!r}.")
        return limit


class Window:
    """A rolling window. A refused request does not count."""

    def __init__(self, limit: Limit | None) -> None:
        self.limit = limit
        self._taken: deque[int] = deque()

    def take(self, now_ms: int) -> bool:
        """Is there room for one more now? Counts it if so."""
        if self.limit is None:
            return True
        self._forget(now_ms)
        if len(self._taken) >= self.limit.requests:
            return False
        self._taken.append(now_ms)
        return True

    def left(self, now_ms: int) -> int:
        """How many more may come now."""
        if self.limit is None:
            return 0
        self._forget(now_ms)
        return max(0, self.limit.requests - len(self._taken))

    def wait_ms(self, now_ms: int) -> int:
        """Milliseconds until there is room."""
        if self.limit is None or len(self._taken) < self.limit.requests:
            return 0
        return self._taken[0] + self.limit.window_ms - now_ms

    def _forget(self, now_ms: int) -> None:
        if self.limit is not None:
            edge = now_ms - self.limit.window_ms
            while self._taken and self._taken[0] <= edge:
                self._taken.popleft()


class Limits:
    """All limits of one portal. `utc_offset_ms` tells when its day begins."""

    def __init__(
        self, now_ms: Callable[[], int], burst: str | None, search: str | None, daily: int | None, utc_offset_ms: int
    ) -> None:
        self._now_ms = now_ms
        self._offset_ms = utc_offset_ms
        self.set(burst, search, daily)
        self._day = self._today()
        self._today_count = 0

    def set(self, burst: str | None, search: str | None, daily: int | None) -> None:
        """Other limits from now on; the windows start empty."""
        limit = Limit.parse(burst)
        self._bursts = {False: Window(limit), True: Window(limit)}
        self._search = Window(Limit.parse(search))
        self.daily = daily

    def admit(self, *, static: bool, is_search: bool, retry_after: bool) -> None:
        """Count one request, or raise the 429 of the limit that is used up. Search is apart from the window."""
        now = self._now_ms()
        self._turn_day()
        if self.daily is not None and static and self._today_count >= self.daily:
            raise self._refused("daily", "DAILY", self._ms_to_midnight(), retry_after)
        window = self._search if is_search else self._bursts[static]
        if not window.take(now):
            raise self._refused(
                "secondly" if is_search else "ten_secondly_rolling",
                "TEN_SECONDLY_ROLLING",
                window.wait_ms(now),
                retry_after,
            )
        self._today_count += 1

    def headers(self, *, static: bool, is_search: bool) -> dict[str, str]:
        """What an answer tells: nothing on search by OAuth, the day's part for static tokens alone."""
        told: dict[str, str] = {}
        window = self._bursts[static]
        if window.limit is not None and not is_search:
            per_second = max(1, window.limit.requests * 1000 // window.limit.window_ms)
            told = {
                "x-hubspot-ratelimit-max": str(window.limit.requests),
                "x-hubspot-ratelimit-remaining": str(window.left(self._now_ms())),
                "x-hubspot-ratelimit-interval-milliseconds": str(window.limit.window_ms),
                "x-hubspot-ratelimit-secondly": str(per_second),
                "x-hubspot-ratelimit-secondly-remaining": str(max(0, per_second - 1)),
            }
        if static and self.daily is not None:
            told["x-hubspot-ratelimit-daily"] = str(self.daily)
            told["x-hubspot-ratelimit-daily-remaining"] = str(max(0, self.daily - self._today_count))
        return told

    @property
    def used_today(self) -> int:
        """Requests counted since midnight in the portal's time zone."""
        self._turn_day()
        return self._today_count

    def _refused(self, name: str, policy: str, wait_ms: int, retry_after: bool) -> Refusal:
        body: dict[str, object] = {"status": "error", "message": f"You have reached your {name} limit."}
        if name == "secondly":
            body["category"] = "RATE_LIMITS"
        else:
            body |= {"errorType": "RATE_LIMIT", "policyName": policy}
            if name != "daily":
                body["groupName"] = "publicapi:private_app-api-calls-ten-secondly:sandbox"
        headers = {"retry-after": str(max(1, -(-wait_ms // 1000)))} if retry_after else {}
        return Refusal(429, body, headers)

    def _today(self) -> int:
        return (self._now_ms() + self._offset_ms) // DAY_MS

    def _ms_to_midnight(self) -> int:
        return DAY_MS - (self._now_ms() + self._offset_ms) % DAY_MS

    def _turn_day(self) -> None:
        today = self._today()
        if today != self._day:
            self._day, self._today_count = today, 0
