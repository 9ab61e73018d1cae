"""Many runs: a grid of settings, run by Dask, in one table with a row per run."""
