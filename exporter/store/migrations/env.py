"""Entry point of Alembic: run the migrations on the connection that the store passes."""

from alembic import context

from exporter.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
