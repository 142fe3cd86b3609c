"""Documents about an incident and about a week: first as data, then in each form."""
