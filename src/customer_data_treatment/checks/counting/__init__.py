"""What several checks stand on: tallies that merge, cells against a rule, duplicates beyond memory."""
