"""Container images as processes: pulling by digest, environments, spawning, logs."""
