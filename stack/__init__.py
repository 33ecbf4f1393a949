"""
The local stack: everything that Paddock needs, started from a fresh clone with one make command.

    bootstrap.sh    .venv and the packages, before any of this can be imported
    places          where things are under var/
    checks          what would stop a start, each told in one line
    ollama          which Ollama there is: a configured one, the one on this machine, or the simulated one
    programs        the processes and their command lines
    supervisor      configuration of the process runner, and talking to it
    leftovers       processes that a killed runner left behind
    setup           the database's tables, the first admin key
    lifecycle       start, stop
    foreground      run
    ask             one question, asked through the REST API (rest, server_sent_events, progress)
"""
