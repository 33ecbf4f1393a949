"""what a job's row no longer says, for its timeline, and when its first token came"""

import sqlalchemy as sa
from alembic import op


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('job_history',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('job_id', sa.String(length=155), nullable=False),
    sa.Column('at', sa.Double(), nullable=False),
    sa.Column('event', sa.String(length=20), nullable=False),
    sa.Column('detail', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('ix_job_history_job_id', 'job_history', ['job_id'])
    op.add_column('jobs', sa.Column('first_token_seconds', sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column('jobs', 'first_token_seconds')
    op.drop_index('ix_job_history_job_id', 'job_history')
    op.drop_table('job_history')
