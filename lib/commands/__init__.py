"""The commands for actions, incidents, the monitor and the plan. `lib.__main__` registers them."""
