"""A model of bytes for records of text: bit by bit, it mixes predictions of many contexts, all in integers."""
