"""The `mtor` command and the processes' entry points: composition only, imported lazily."""
