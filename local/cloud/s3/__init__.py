"""S3: moto's storage behind bucket policies that are evaluated with their conditions, across accounts too."""
