"""jobs, attempts, keys and models"""

import sqlalchemy as sa
from alembic import op


revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('api_keys',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('role', sa.String(length=10), nullable=False),
    sa.Column('prefix', sa.String(length=16), nullable=False),
    sa.Column('key_hash', sa.String(length=64), nullable=True),
    sa.Column('created_at', sa.Double(), nullable=False),
    sa.Column('expires_at', sa.Double(), nullable=True),
    sa.Column('revoked_at', sa.Double(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('key_hash')
    )
    op.create_table('jobs',
    sa.Column('id', sa.String(length=155), nullable=False),
    sa.Column('status', sa.String(length=10), nullable=False),
    sa.Column('task', sa.String(length=100), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('service', sa.String(length=64), nullable=True),
    sa.Column('model', sa.String(length=255), nullable=False),
    sa.Column('key_id', sa.String(length=36), nullable=False),
    sa.Column('priority', sa.SmallInteger(), nullable=False),
    sa.Column('metadata', sa.JSON(), nullable=False),
    sa.Column('created_at', sa.Double(), nullable=False),
    sa.Column('not_before', sa.Double(), nullable=True),
    sa.Column('deadline_at', sa.Double(), nullable=True),
    sa.Column('timeout_seconds', sa.Double(), nullable=True),
    sa.Column('released_at', sa.Double(), nullable=True),
    sa.Column('due_at', sa.Double(), nullable=True),
    sa.Column('published_at', sa.Double(), nullable=True),
    sa.Column('publication', sa.Integer(), nullable=False),
    sa.Column('claim', sa.Integer(), nullable=False),
    sa.Column('attempts', sa.SmallInteger(), nullable=False),
    sa.Column('lease_until', sa.Double(), nullable=True),
    sa.Column('worker', sa.String(length=255), nullable=True),
    sa.Column('started_at', sa.Double(), nullable=True),
    sa.Column('completed_at', sa.Double(), nullable=True),
    sa.Column('has_successors', sa.Boolean(), nullable=False),
    sa.Column('successors_pending', sa.Boolean(), nullable=False),
    sa.Column('processing_seconds', sa.Double(), nullable=True),
    sa.Column('load_seconds', sa.Double(), nullable=True),
    sa.Column('prompt_tokens', sa.Integer(), nullable=True),
    sa.Column('output_tokens', sa.Integer(), nullable=True),
    sa.Column('tokens_per_second', sa.Double(), nullable=True),
    sa.Column('error_code', sa.String(length=64), nullable=True),
    sa.Column('error_message', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.create_index('ix_jobs_deadline', ['deadline_at'], unique=False, sqlite_where=sa.text("status = 'pending' AND deadline_at IS NOT NULL"), postgresql_where=sa.text("status = 'pending' AND deadline_at IS NOT NULL"))
        batch_op.create_index('ix_jobs_lease', ['lease_until'], unique=False, sqlite_where=sa.text("status = 'processing'"), postgresql_where=sa.text("status = 'processing'"))
        batch_op.create_index('ix_jobs_model', ['model', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_jobs_newest', ['created_at', 'id'], unique=False)
        batch_op.create_index('ix_jobs_not_before', ['not_before'], unique=False, sqlite_where=sa.text("status = 'pending' AND released_at IS NULL"), postgresql_where=sa.text("status = 'pending' AND released_at IS NULL"))
        batch_op.create_index('ix_jobs_owner', ['key_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_jobs_position', ['model', 'due_at', 'id'], unique=False, sqlite_where=sa.text("status = 'pending' AND released_at IS NOT NULL"), postgresql_where=sa.text("status = 'pending' AND released_at IS NOT NULL"))
        batch_op.create_index('ix_jobs_published', ['published_at'], unique=False, sqlite_where=sa.text("status = 'pending' AND released_at IS NOT NULL"), postgresql_where=sa.text("status = 'pending' AND released_at IS NOT NULL"))
        batch_op.create_index('ix_jobs_status', ['status', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_jobs_successors', ['completed_at'], unique=False, sqlite_where=sa.text('successors_pending = 1'), postgresql_where=sa.text('successors_pending'))

    op.create_table('models',
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=True),
    sa.Column('can_complete', sa.Boolean(), nullable=False),
    sa.Column('seen_at', sa.Double(), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('attempts',
    sa.Column('job_id', sa.String(length=155), nullable=False),
    sa.Column('claim', sa.Integer(), nullable=False),
    sa.Column('worker', sa.String(length=255), nullable=True),
    sa.Column('started_at', sa.Double(), nullable=True),
    sa.Column('ended_at', sa.Double(), nullable=False),
    sa.Column('code', sa.String(length=64), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id', 'claim')
    )
    op.create_table('chords',
    sa.Column('group_id', sa.String(length=155), nullable=False),
    sa.Column('size', sa.Integer(), nullable=True),
    sa.Column('created_at', sa.Double(), nullable=False),
    sa.PrimaryKeyConstraint('group_id')
    )
    op.create_index('ix_chords_created_at', 'chords', ['created_at'])
    op.create_table('chord_parts',
    sa.Column('group_id', sa.String(length=155), nullable=False),
    sa.Column('task_id', sa.String(length=155), nullable=False),
    sa.PrimaryKeyConstraint('group_id', 'task_id')
    )
    op.create_table('job_payloads',
    sa.Column('job_id', sa.String(length=155), nullable=False),
    sa.Column('input', sa.JSON(), nullable=False),
    sa.Column('canvas', sa.JSON(), nullable=True),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id')
    )
    op.create_table('job_results',
    sa.Column('job_id', sa.String(length=155), nullable=False),
    sa.Column('result', sa.JSON(), nullable=True),
    sa.Column('result_data', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id')
    )
    _create_celery_tables()
    # The owner of what Python code submits without saying whose it is; no key opens it.
    op.execute(
        "INSERT INTO api_keys (id, name, role, prefix, created_at) VALUES ('local', 'local', 'user', '', 0)"
    )


def _create_celery_tables() -> None:
    """Celery's own, for results of tasks that are not jobs; as celery 5.7 describes them."""
    for name, columns in _CELERY_TABLES.items():
        sequence = sa.Sequence(f'{columns[0]}_sequence')
        if op.get_bind().dialect.name == 'postgresql':
            op.execute(sa.schema.CreateSequence(sequence))
        op.create_table(
            name,
            sa.Column('id', sa.Integer(), primary_key=True, autoincrement=True),
            *(column._copy() for column in columns[1]),
            sa.Column('date_done', sa.DateTime()),
            sqlite_autoincrement=True,
        )
        op.create_index(f'ix_{name}_date_done', name, ['date_done'])


_CELERY_TABLES = {
    'celery_taskmeta': (
        'task_id',
        [
            sa.Column('task_id', sa.String(155), unique=True),
            sa.Column('status', sa.String(50)),
            sa.Column('result', sa.LargeBinary()),
            sa.Column('traceback', sa.Text()),
            sa.Column('children', sa.LargeBinary()),
        ],
    ),
    'celery_tasksetmeta': (
        'taskset_id',
        [
            sa.Column('taskset_id', sa.String(155), unique=True),
            sa.Column('result', sa.LargeBinary()),
        ],
    ),
}


def downgrade() -> None:
    for name, columns in _CELERY_TABLES.items():
        op.drop_table(name)
        if op.get_bind().dialect.name == 'postgresql':
            op.execute(sa.schema.DropSequence(sa.Sequence(f'{columns[0]}_sequence')))
    op.drop_table('job_results')
    op.drop_table('job_payloads')
    op.drop_table('chord_parts')
    op.drop_table('chords')
    op.drop_table('attempts')
    op.drop_table('models')
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_index('ix_jobs_successors', sqlite_where=sa.text('successors_pending = 1'), postgresql_where=sa.text('successors_pending'))
        batch_op.drop_index('ix_jobs_status')
        batch_op.drop_index('ix_jobs_published', sqlite_where=sa.text("status = 'pending' AND released_at IS NOT NULL"), postgresql_where=sa.text("status = 'pending' AND released_at IS NOT NULL"))
        batch_op.drop_index('ix_jobs_position', sqlite_where=sa.text("status = 'pending' AND released_at IS NOT NULL"), postgresql_where=sa.text("status = 'pending' AND released_at IS NOT NULL"))
        batch_op.drop_index('ix_jobs_owner')
        batch_op.drop_index('ix_jobs_not_before', sqlite_where=sa.text("status = 'pending' AND released_at IS NULL"), postgresql_where=sa.text("status = 'pending' AND released_at IS NULL"))
        batch_op.drop_index('ix_jobs_newest')
        batch_op.drop_index('ix_jobs_model')
        batch_op.drop_index('ix_jobs_lease', sqlite_where=sa.text("status = 'processing'"), postgresql_where=sa.text("status = 'processing'"))
        batch_op.drop_index('ix_jobs_deadline', sqlite_where=sa.text("status = 'pending' AND deadline_at IS NOT NULL"), postgresql_where=sa.text("status = 'pending' AND deadline_at IS NOT NULL"))

    op.drop_table('jobs')
    op.drop_table('api_keys')
