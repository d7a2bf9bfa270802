"""The log of what was decided and what came of it: kept in SQLite or PostgreSQL, exported as demonstrations."""
