"""Alembic's entry: it runs the migrations over the connection that it is given."""

from alembic import context

from exporter.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
