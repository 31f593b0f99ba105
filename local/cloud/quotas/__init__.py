"""Service Quotas: how many instances of each type SageMaker's endpoints may have, and the refusal where there are too many."""
