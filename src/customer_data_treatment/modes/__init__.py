"""Drivers of the same stages."""
