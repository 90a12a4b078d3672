"""MLflow for Flowstone: each flow an MLflow run, each marked task a nested one; models logged, registered and loaded by tasks."""
