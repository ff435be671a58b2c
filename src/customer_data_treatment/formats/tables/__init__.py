"""Tables: delimited text, Parquet, Arrow."""
