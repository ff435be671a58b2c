"""One conventional writer a process: python bench/peers.py NAME SOURCE.npy TARGET."""

import sys

import numpy as np


def h5py_gzip4(source: str, target: str) -> None:
    import h5py

    values = np.load(source, mmap_mode="r")
    with h5py.File(target, "w") as file:
        dataset = file.create_dataset("a", values.shape, values.dtype, compression="gzip", compression_opts=4)
        for start in range(0, len(values), 16):
            dataset[start : start + 16] = values[start : start + 16]


def netcdf4_zlib4(source: str, target: str) -> None:
    import netCDF4

    values = np.load(source, mmap_mode="r")
    with netCDF4.Dataset(target, "w") as file:
        for name, length in zip("zyx", values.shape, strict=True):
            file.createDimension(name, length)
        variable = file.createVariable("a", values.dtype, tuple("zyx"), zlib=True, complevel=4)
        for start in range(0, len(values), 16):
            variable[start : start + 16] = values[start : start + 16]


def savez_compressed(source: str, target: str) -> None:
    np.savez_compressed(target, a=np.load(source))


PEERS = {"h5py gzip-4": h5py_gzip4, "netCDF4 zlib-4": netcdf4_zlib4, "np.savez_compressed": savez_compressed}

if __name__ == "__main__":
    PEERS[sys.argv[1]](sys.argv[2], sys.argv[3])
