"""The engine under a fake clock, a seeded scheduler and seeded faults."""
