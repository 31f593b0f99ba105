"""What happens to a model: training, gates, registration, promotion, serving."""
