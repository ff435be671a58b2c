"""h5ad for the promise suite: what anndata itself writes, with all its encodings."""

from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse


def make(folder: Path) -> Path:
    """Write sparse and dense layers, categories, missing booleans and integers, nested uns."""
    draw = np.random.default_rng(3)
    counts = sparse.csr_matrix(draw.poisson(0.4, (12, 9)).astype("f4"))
    obs = pd.DataFrame(
        {
            "größe": draw.normal(size=12),
            "cluster": pd.Categorical(list("abcabcabcab") + [None], ordered=True, categories=["a", "b", "c", "d"]),
            "seen": pd.array([True, None] * 6, dtype="boolean"),
            "n": pd.array([1, None, 3] * 4, dtype="Int64"),
            "note": [f"cell {at}" for at in range(12)],
        },
        index=[f"c{at}" for at in range(12)],
    )
    var = pd.DataFrame({"symbol": [f"G{at}" for at in range(9)]}, index=[f"g{at}" for at in range(9)])
    data = anndata.AnnData(counts, obs=obs, var=var)
    data.layers["log"] = np.log1p(counts.toarray()).astype("f8")
    data.layers["by_gene"] = sparse.csc_matrix(counts)
    data.obsm["X_pca"] = draw.normal(size=(12, 3)).astype("f4")
    data.obsp["distances"] = sparse.random(12, 12, 0.2, "csr", rng=draw)
    data.varm["loadings"] = draw.normal(size=(9, 2))
    data.uns["pca"] = {"params": {"zero_center": True, "n": 3}, "variance": np.array([3.0, 2.0, np.nan])}
    data.uns["title"], data.uns["words"] = "größe", np.array(["x", "yy"], dtype=object)
    data.raw = data.copy()
    path = folder / "größe.h5ad"
    data.write_h5ad(path, compression="gzip")
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read every dataset with h5py, the container that anndata's own reader stands on."""
    found: dict[str, Any] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            text = h5py.check_string_dtype(item.dtype) is not None
            values = np.asarray(item.asstr()[()] if text else item[()], dtype=object if text else None)
            found[name] = np.zeros(0, np.uint8) if item.shape is None else values

    with h5py.File(path) as file:
        file.visititems(take)
    return found
