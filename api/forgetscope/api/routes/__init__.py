"""One module per resource. Endpoints decide nothing: they translate HTTP to use cases."""
