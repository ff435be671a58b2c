"""Formats of astronomy."""
