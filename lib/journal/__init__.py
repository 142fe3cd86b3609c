"""The durable record of what was seen and done: requests, receipts, incidents, steps and notes.

Append-only and hash-chained, on SQLite or Postgres. `Journal.open` in `store` is the door. An entry is never changed
and never deleted; what a request or an incident *is* now follows from its entries.
"""
