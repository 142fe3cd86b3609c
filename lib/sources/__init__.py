"""The six outside systems: one class over each API, and the HTTP session they share.

A source returns `Observed` values of `lib.model` or raises one `SourceError`.
"""
