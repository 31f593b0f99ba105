"""SageMaker pipelines: definitions checked and interpreted."""
