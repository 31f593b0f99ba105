"""Code that runs inside job containers: one module per kind of job, started as `python -m pipelines.jobs.<name>`."""
