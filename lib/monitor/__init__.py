"""The headless loop: rules read the diagnosis, a pure state machine decides what is told, an outbox sees that it is.

`loop.Monitor` runs it; `status.read_status` and `quiet` are for the pages, the doors and the command line.
"""
