"""A simulation of two-way sync: seeded histories of edits, deletions, merges, failures and power cuts, and their laws.

`draw` makes a history from a seed, `play` lives through it on the real engine, database and sandbox and raises
`Violation` where a law is broken, `shorten` finds the steps that are needed for that.
"""

from tests.property.machine.histories import History, Setup, Step
from tests.property.machine.laws import Violation
from tests.property.machine.playing import play
from tests.property.machine.shortening import shorten
from tests.property.machine.themes import draw

__all__ = ["History", "Setup", "Step", "Violation", "draw", "play", "shorten"]
