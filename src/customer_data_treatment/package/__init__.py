"""The treated package: its files, its papers, and reading them again."""
