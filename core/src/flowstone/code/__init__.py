"""Code of deployments: where it comes from, its versions, and the environments that it needs."""
