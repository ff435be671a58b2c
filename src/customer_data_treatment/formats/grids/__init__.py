"""Arrays: NPY, NPZ, HDF5, NetCDF, Zarr."""
