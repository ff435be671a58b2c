"""Sequences, expression and spectra: VCF, BCF, h5ad, mzML."""
