"""indexes of what a key has lined up for a model, and of what is held back"""

import sqlalchemy as sa
from alembic import op


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

_LINE = ['status', 'model', 'key_id', 'priority']
_LINED_UP = sa.text("status = 'pending' AND due_at IS NOT NULL")
_HELD = sa.text("status = 'pending' AND released_at IS NULL AND not_before IS NULL")


def upgrade() -> None:
    op.create_index('ix_jobs_lined_up', 'jobs', [*_LINE, 'due_at', 'id'], sqlite_where=_LINED_UP, postgresql_where=_LINED_UP)
    op.create_index('ix_jobs_held', 'jobs', [*_LINE, 'created_at', 'id', 'released_at', 'not_before'], sqlite_where=_HELD, postgresql_where=_HELD)


def downgrade() -> None:
    op.drop_index('ix_jobs_held', 'jobs')
    op.drop_index('ix_jobs_lined_up', 'jobs')
