"""A frozen codec in parts, of which an archive names, contains and needs only those that its chunks use."""
