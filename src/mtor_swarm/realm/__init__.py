"""Inside one unit: workers, the orchestrator that keeps them, commands and the last gate."""
