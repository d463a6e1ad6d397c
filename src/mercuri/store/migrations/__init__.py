"""Steps from every released schema to today's, run by the program itself."""
