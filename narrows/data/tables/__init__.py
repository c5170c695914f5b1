"""Tables: typed columns that are read from files or data frames, and restored as the same files or frames."""
