"""The monitor: rules read the diagnosis, a pure state machine decides on messages, an outbox sends them.

`loop.Monitor` runs it. `monitor_status` and `silences` are for the pages, the endpoints and the command line.
"""
