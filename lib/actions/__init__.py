"""Guarded actions: what changes the outside world, and the executor that alone may run it."""
