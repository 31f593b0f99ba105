"""What an environment is: typed config in, components, typed outputs out."""
