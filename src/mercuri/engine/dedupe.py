"""Find, merge and un-merge duplicates."""

from __future__ import annotations

from mercuri.engine.regrouping import contacts_changed as contacts_changed
from mercuri.engine.regrouping import drain as drain
from mercuri.engine.regrouping import nightly_check as nightly_check
from mercuri.engine.regrouping import rebuild as rebuild
