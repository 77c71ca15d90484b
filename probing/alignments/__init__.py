"""Labels of stretches of time: which phone, word, speaker or class is where in an utterance.

from probing.alignments import read_alignments
found = read_alignments("corpus/textgrids", cache.utterances, tier="phones")
found.table                                     # utterance_id, start, end, label; times in seconds
"""

from probing.alignments.alignments import AlignmentError, Alignments
from probing.alignments.reading import FORMS, read_alignments

__all__ = ["FORMS", "AlignmentError", "Alignments", "read_alignments"]
