"""Uses of a trained autoencoder."""
