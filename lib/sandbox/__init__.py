"""The sandbox: local twins of all outside systems, and the scenarios they can be put in."""
