"""Score files and what is known of their utterances: text tables, keys, and joining the two."""
