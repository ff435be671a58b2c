"""Mechanisms of privacy, without policy."""
