"""Arrays in, arrays out: one subject a file, its source at the top."""
