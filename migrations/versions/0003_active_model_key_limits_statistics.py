"""the active model, what keys may do, and indexes for what operators ask"""

import sqlalchemy as sa
from alembic import op


revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

_PENDING = sa.text("status = 'pending'")
_ENDED = sa.text('completed_at IS NOT NULL')
_KEY_COLUMNS = (
    sa.Column('default_priority', sa.SmallInteger(), nullable=True),
    sa.Column('priority_ceiling', sa.SmallInteger(), nullable=True),
    sa.Column('allowed_models', sa.JSON(), nullable=True),
    sa.Column('on_disconnect', sa.String(length=10), nullable=True),
    sa.Column('requests_per_minute', sa.Integer(), nullable=True),
    sa.Column('max_pending', sa.Integer(), nullable=True),
    sa.Column('last_used_at', sa.Double(), nullable=True),
    sa.Column('previous_hash', sa.String(length=64), nullable=True),
    sa.Column('previous_until', sa.Double(), nullable=True),
)


def upgrade() -> None:
    op.create_table('active_model',
    sa.Column('id', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('model', sa.String(length=255), nullable=False),
    sa.Column('chosen_at', sa.Double(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    for column in _KEY_COLUMNS:
        op.add_column('api_keys', column._copy())
    op.create_index('ix_api_keys_previous_hash', 'api_keys', ['previous_hash'], unique=True)
    op.create_index('ix_jobs_completed', 'jobs', ['completed_at'], sqlite_where=_ENDED, postgresql_where=_ENDED)
    op.create_index('ix_jobs_backlog', 'jobs', ['status', 'model', 'priority', 'created_at'], sqlite_where=_PENDING, postgresql_where=_PENDING)
    op.create_index('ix_jobs_pending_of_key', 'jobs', ['key_id'], sqlite_where=_PENDING, postgresql_where=_PENDING)


def downgrade() -> None:
    op.drop_index('ix_jobs_pending_of_key', 'jobs')
    op.drop_index('ix_jobs_backlog', 'jobs')
    op.drop_index('ix_jobs_completed', 'jobs')
    op.drop_index('ix_api_keys_previous_hash', 'api_keys')
    for column in reversed(_KEY_COLUMNS):
        op.drop_column('api_keys', column.name)
    op.drop_table('active_model')
