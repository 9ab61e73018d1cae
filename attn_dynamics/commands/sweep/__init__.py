"""Many runs: a grid of settings, carried out by Dask, in one table with a row a run."""
