"""The screen: header and guard, pieces, charts and tables, and the redaction at the glass.

Besides `app.py` and `pages/`, the only place that imports Streamlit. It adds no facts of its own.
"""
