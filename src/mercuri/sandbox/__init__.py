"""A HubSpot portal in one process, to develop against: same paths, limits, lag and refusals; faults on demand."""

from mercuri.sandbox.api import Sandbox
from mercuri.sandbox.server import Running, serve, start_in_thread
from mercuri.sandbox.switches import Switches

__all__ = ["Running", "Sandbox", "Switches", "serve", "start_in_thread"]
