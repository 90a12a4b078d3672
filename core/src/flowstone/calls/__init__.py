"""How a call becomes a run: flows and tasks, their options, parameters and futures."""
