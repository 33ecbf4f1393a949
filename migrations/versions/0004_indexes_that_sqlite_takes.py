"""
partial indexes begin with the one value that they have

Without it SQLite preferred ix_jobs_status: it read every pending row, several times a second.
"""

import sqlalchemy as sa
from alembic import op


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

# Name: first column, second column, condition on SQLite, on Postgres.
_INDEXES = {
    'ix_jobs_lease': ('status', 'lease_until', "status = 'processing'", None),
    'ix_jobs_not_before': ('status', 'not_before', "status = 'pending' AND released_at IS NULL", None),
    'ix_jobs_published': ('status', 'published_at', "status = 'pending' AND released_at IS NOT NULL", None),
    'ix_jobs_deadline': ('status', 'deadline_at', "status = 'pending' AND deadline_at IS NOT NULL", None),
    'ix_jobs_successors': ('successors_pending', 'completed_at', 'successors_pending = 1', 'successors_pending'),
}


def upgrade() -> None:
    for name, (first, second, sqlite, postgres) in _INDEXES.items():
        _replace(name, [first, second], sqlite, postgres or sqlite)


def downgrade() -> None:
    for name, (_, second, sqlite, postgres) in _INDEXES.items():
        _replace(name, [second], sqlite, postgres or sqlite)


def _replace(name: str, columns: list[str], sqlite: str, postgres: str) -> None:
    op.drop_index(name, 'jobs')
    op.create_index(name, 'jobs', columns, sqlite_where=sa.text(sqlite), postgresql_where=sa.text(postgres))
