"""From an HTTP request to the handler of a service, and back."""
