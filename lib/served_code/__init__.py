"""Reads the code that is served: archive of a commit → uses → the way of a booking → misfits; the repository's migrations.

Pure but for the folder (`folder`) and the store (`store`). Nothing that is read here is ever executed.
"""
