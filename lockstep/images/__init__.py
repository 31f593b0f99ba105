"""Container images, built reproducibly without a container engine and pushed through the ECR API."""
