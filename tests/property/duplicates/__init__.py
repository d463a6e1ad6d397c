"""A few people, acts on them that go the way a person's do, and what must hold of duplicates after each."""
