"""All that is peculiar to HubSpot."""
