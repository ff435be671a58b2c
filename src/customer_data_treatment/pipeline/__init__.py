"""The stages, from a source to a certified package and back."""
