"""The commands that act and keep the record; `lib.__main__` puts them together with those that look."""
