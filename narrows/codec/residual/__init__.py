"""What a model got wrong, kept as far as asked: the residual."""
