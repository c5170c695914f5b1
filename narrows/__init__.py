"""narrows: train any classic autoencoder on your own data, then use it."""
