"""The analysis service: predictions in, results, tables and a report out.

`stage` holds the stage functions, `results` turns outcomes into the results document, `cautions`
says what limits it, `tables` writes it as CSV, `words`, `figures` and `report` turn it into one
HTML file. Curvature (spectral radius, displacement curvature, local bound) will live beside them as
the subpackage `curvature` with its operator, its solvers and its own stage; it is the only part
that will need torch.
"""
