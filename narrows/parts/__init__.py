"""What parts and their options are: named values with checked options, on an axis. Needs no PyTorch."""
