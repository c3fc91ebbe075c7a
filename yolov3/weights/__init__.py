"""Trained weights: by layer name, from files of others, found again, transferred."""
