"""how many of a job's attempts were lost together with their whole worker"""

import sqlalchemy as sa
from alembic import op


revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('jobs', sa.Column('worker_losses', sa.SmallInteger(), server_default=sa.text('0'), nullable=False))


def downgrade() -> None:
    # Not in a batch: SQLite would make the table anew, beneath the view that reads it.
    op.drop_column('jobs', 'worker_losses')
