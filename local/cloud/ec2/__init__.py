"""EC2: what moto's networks lack for an environment."""
