"""
`flask --app api doctor`: what an installation does at most, and what slows it down.

    facts      what is found out, by asking
    findings   what it means: pure functions
    report     what it shows
    command    the command
"""
