"""Keeps a team's contact list in sync with HubSpot."""

__version__ = "0.1.0"
