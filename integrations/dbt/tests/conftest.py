"""The fixtures of these tests."""
