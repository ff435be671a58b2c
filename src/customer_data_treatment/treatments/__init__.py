"""Harmonise, impute, de-identify; they come with their own orders."""
