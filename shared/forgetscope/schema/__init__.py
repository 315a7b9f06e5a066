"""The vocabulary: frozen values for API, client, workers and files. Imports nothing of ours."""
