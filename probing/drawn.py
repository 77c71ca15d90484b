"""What a bootstrap draws anew: the names of its units."""

AUTO = "auto"  # by speaker where speakers are known, else by utterance
SPEAKER = "speaker"
UTTERANCE = "utterance"
ATTACK = "attack"
