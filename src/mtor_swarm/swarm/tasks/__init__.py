"""Who does what: pure rules by which units share out work without a leader."""
