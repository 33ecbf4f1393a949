"""queues that an operator paused"""

import sqlalchemy as sa
from alembic import op


revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('paused_queues',
    sa.Column('model', sa.String(length=255), nullable=False),
    sa.Column('paused_at', sa.Double(), nullable=False),
    sa.PrimaryKeyConstraint('model')
    )


def downgrade() -> None:
    op.drop_table('paused_queues')
