"""The lifecycle nodes of a realm: thin, each woken by events and by nothing else."""
