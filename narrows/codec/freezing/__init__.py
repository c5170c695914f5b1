"""Freezing: converts a trained model to a codec in integer arithmetic. This side of the codec needs PyTorch."""
