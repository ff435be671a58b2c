"""The facade of the promised API."""
