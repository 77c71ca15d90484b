"""Labels of trials, and the words that mean them."""

BONAFIDE = "bonafide"
SPOOF = "spoof"
LABELS = {
    **dict.fromkeys(("bonafide", "bona-fide", "bona fide", "bona_fide", "genuine", "human", "real"), BONAFIDE),
    **dict.fromkeys(("spoof", "spoofed", "fake", "synthetic"), SPOOF),
}
