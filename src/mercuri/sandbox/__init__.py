"""A HubSpot portal in one process, to develop and test against."""
