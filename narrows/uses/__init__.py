"""Uses: what a trained autoencoder is put to."""
