"""What of a text is searched by keyword: the same terms come from a document and from a question about it."""

from core.words.stems import fold, stem
from core.words.terms import LONGEST_TERM, Piece, chunk_words, head_words, pieces, terms
from core.words.tongue import TOLD_BY_SCRIPT, tongue
from core.words.weights import is_function_word, telling, weighted

__all__ = [
    "LONGEST_TERM", "TOLD_BY_SCRIPT", "Piece", "chunk_words", "fold", "head_words", "is_function_word", "pieces",
    "stem", "telling", "terms", "tongue", "weighted",
]  # fmt: skip
