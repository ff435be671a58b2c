"""Variant calls as text: what VCF and BCF share. Header, typed columns, the way back, and the rules."""
