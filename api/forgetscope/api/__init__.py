"""The gateway: HTTP in, use cases behind. Knows no database, no store and no model library."""
