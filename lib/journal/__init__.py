"""The durable record of what was seen and done: requests, receipts, incidents, steps and notes.

Append-only and hash-chained, on SQLite or Postgres. `lib.journal.journal.Journal.open` opens it. An entry is never
changed and never deleted: the present state of a request or an incident is computed from its entries.
"""
