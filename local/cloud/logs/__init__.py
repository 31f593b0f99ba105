"""CloudWatch Logs: moto's storage on the time of the cloud's clock."""
