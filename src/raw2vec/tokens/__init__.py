"""Texts and their tokens: vocabularies, ids word by word, where a text may be cut, and what is kept out of reach."""
