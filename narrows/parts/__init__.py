"""Parts and their options: named values with checked options, on an axis. Does not import PyTorch."""
