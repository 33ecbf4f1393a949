"""
ollama_job_responses: the finished jobs as (job_id, prompt, state, data)

`state` is done (completed) or failed (failed, cancelled, expired); `data` is the answer, or the reason.
A chat's prompt is the content of its last message, its data that of the answer; embeddings and lists of
inputs are JSON. NUL, which no text of Postgres can hold, becomes U+FFFD; so does half a surrogate pair on
Postgres, where making text of it is an error.

The view reads `jobs`, `job_payloads` and `job_results`: a later migration that rebuilds one of them
(SQLite's batch mode, when it must copy) or changes the type of a column it reads drops the view first.
"""

from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

_VIEW = """
CREATE VIEW ollama_job_responses AS
SELECT
    j.id AS job_id,
    {prompt} AS prompt,
    CASE j.status WHEN 'completed' THEN 'done' ELSE 'failed' END AS state,
    CASE j.status WHEN 'completed' THEN {data}
        ELSE coalesce(j.error_message, 'The job is ' || j.status || '.') END AS data
FROM jobs j
JOIN job_payloads p ON p.job_id = j.id
LEFT JOIN job_results r ON r.job_id = j.id
WHERE j.status IN ('completed', 'failed', 'cancelled', 'expired')
"""


def _on_sqlite() -> str:
    def readable(column: str) -> str:
        # Escaped backslashes step aside as a character that JSON text can't hold: behind one, u0000 is text.
        aside = f"replace({column}, '\\\\', char(1))"
        return f"replace(replace({aside}, '\\u0000', '\\ufffd'), char(1), '\\\\')"

    payload, result = readable('p.input'), readable('r.result_data')
    prompt = (
        f"coalesce(json_extract({payload}, '$.prompt'), json_extract({payload}, '$.messages[#-1].content'), "
        f"json_extract({payload}, '$.input'))"
    )
    data = (
        f"CASE json_type(r.result_data) WHEN 'object' THEN json_extract({result}, '$.content') "
        f"ELSE json_extract({result}, '$') END"
    )
    return _VIEW.format(prompt=prompt, data=data)


def _on_postgres() -> str:
    """In JSON such escapes may stand; made text they are an error, which one row would be for the whole view."""

    def readable(column: str) -> str:
        # The lookbehind and the captured pairs of backslashes: an escaped backslash before u0000 is text.
        escape = r'(?<!\\)((?:\\\\)*)'
        patterns = (
            escape + r'\\u0000',
            escape + r'\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})',
            r'(?<!\\u[dD][89abAB][0-9a-fA-F]{2})' + escape + r'\\u[dD][c-fC-F][0-9a-fA-F]{2}',
        )
        text = f'{column}::text'
        for pattern in patterns:
            text = f"regexp_replace({text}, '{pattern}', '\\1\\ufffd', 'g')"
        return f'CAST({text} AS json)'

    payload, result = readable('p.input'), readable('r.result_data')
    prompt = (
        f"coalesce({payload} ->> 'prompt', {payload} -> 'messages' -> -1 ->> 'content', {payload} ->> 'input')"
    )
    data = (
        f"CASE json_typeof(r.result_data) WHEN 'object' THEN {result} ->> 'content' "
        f"ELSE {result} #>> '{{}}' END"
    )
    return _VIEW.format(prompt=prompt, data=data)


def upgrade() -> None:
    on_postgres = op.get_bind().dialect.name == 'postgresql'
    op.get_bind().exec_driver_sql(_on_postgres() if on_postgres else _on_sqlite())


def downgrade() -> None:
    op.execute('DROP VIEW ollama_job_responses')
