"""SageMaker's control plane: moto's, with the registry, jobs, pipelines and endpoints replaced by ones that act."""
