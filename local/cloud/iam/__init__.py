"""IAM: a policy evaluator of our own, and what moto's IAM lacks."""
