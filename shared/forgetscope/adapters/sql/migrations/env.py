"""Run by Alembic: applies revisions on the connection, and in the transaction, of the caller."""

from alembic import context

from forgetscope.adapters.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
