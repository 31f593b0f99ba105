"""The command line, and what only it may do: know the infrastructure, the pipelines, the workloads and the rehearsal together."""
