"""The pytest plugin: flows in a test run in memory."""
