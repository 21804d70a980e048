"""A model at work: encoding, embedding files, classifying, storing and searching."""
