"""Documents: what happened in an incident, and how a week went. All of it as data first, then in each form."""
