"""Freezing: a trained model becomes a codec in whole numbers. This is the side of the codec that needs PyTorch."""
