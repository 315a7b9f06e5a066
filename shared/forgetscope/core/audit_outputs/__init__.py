"""The results of an audit for other people's programs: text from `AuditResults`, nothing else."""
