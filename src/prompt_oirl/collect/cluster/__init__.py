"""The same collection over the workers of a Dask cluster: the extra `dask`."""
