"""Encoders for any raw data: train, run and search them."""
