"""The screen: guard and header, HTML components and views, charts and tables, dialogs, and what is masked.

Besides `app.py`, `pages/` and `lib/server.py` the only place that imports Streamlit. It adds no facts of its own.

A `…_view` module belongs to one subject of the pages. Its functions take a `View` first; those that draw are named
`draw_…`, the others return a component (`…_card`, `…_table`, `…_facts`) or a label, and draw nothing.
"""
