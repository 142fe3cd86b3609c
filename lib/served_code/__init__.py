"""Reads the code that is served: archive of a commit → uses → the way of a booking → misfits; and its migrations.

Pure but for the folder (`folder`) and the store (`store`). Nothing that is read here is ever executed.
"""
