"""ECR: images and their layers, kept by digest and handed out again."""
