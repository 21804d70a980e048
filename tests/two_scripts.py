"""English and the same in Greek letters: pairs in two scripts, of which no word is in both."""

from small import texts

LETTERS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "αβχδεφγηιψκλμνοπθρστυξωζσι")


def greek(text: str) -> str:
    """The text in Greek letters, its words the other way round."""
    return " ".join(reversed(text.translate(LETTERS).split()))


ENGLISH = list(dict.fromkeys(texts(60)))
GREEK = [greek(text) for text in ENGLISH]
PAIRS = [{"en": source, "el": target} for source, target in zip(ENGLISH, GREEK, strict=True)]
