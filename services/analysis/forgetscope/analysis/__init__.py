"""The analysis service: predictions in, results, tables and a report out.

`stage` holds the stage functions, `results` turns outcomes into the results document, `cautions`
says what limits it, `tables` writes it as CSV, `words`, `figures` and `report` turn it into one
HTML file.

Curvature has stages of its own, the only part here that needs torch and loads it when they run:
`curvature_stage` and `displacement_stage` on top of `curvature_model` and `curvature_resume`; what
they leave behind goes through `curvature_results` into the same document and report.
"""
