"""Behaviours: pure functions from what a unit knows to the velocity it wants, one file each."""
