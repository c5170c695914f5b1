"""The fitted model: its parts and artefacts, its file, and its use on arrays."""
