"""What the words mean, as frozen values; nothing here reads or writes."""
