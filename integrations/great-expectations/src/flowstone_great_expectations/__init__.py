"""Great Expectations for Flowstone: validate frames, tables and files; failing rows to quarantine; reports on the run."""
