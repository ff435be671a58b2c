"""What several formats stand on: raw arrays, HDF5, gzip, zip."""
