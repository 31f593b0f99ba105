"""The model registry: groups, versioned packages, approval, policies."""
