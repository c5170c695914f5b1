"""What all computing stands on: batches, named random streams, and how many threads compute."""
