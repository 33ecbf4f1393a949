#!/bin/sh
# Makes .venv and installs what Paddock needs, or does nothing if that is done: `sh stack/bootstrap.sh [dev]`.
#
# The stamp .venv/.paddock-NAME holds the checksums of the requirement files, the folder and the interpreter:
# a clone that was moved, a Python that went away or a changed requirement installs anew.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "paddock: $*" >&2
    exit 1
}

# The first Python that is new enough and really runs: version managers leave commands behind
# for versions that aren't installed. Sets $python.
find_python() {
    python=
    for candidate in python3.14 python3.13 python3.12 python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            python=$candidate
            if "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
                return 0
            fi
        fi
    done
    if [ -z "$python" ]; then
        fail "Python 3.11 or newer is needed and was not found; install it: https://www.python.org/downloads/"
    fi
    fail "$python has no venv; install it, on Debian and Ubuntu with: sudo apt install python3-venv"
}

case "${1-}" in
    dev) requirements=requirements-dev.txt ;;
    '') requirements=requirements.txt ;;
    *) fail "usage: sh stack/bootstrap.sh [dev]" ;;
esac

wanted="$(pwd) $(cat requirements*.txt constraints.txt | cksum)"
installed_as() { # whether this stamp is of now
    [ -f ".venv/.paddock-$1" ] && [ "$(cat ".venv/.paddock-$1")" = "$wanted" ]
}

if .venv/bin/python -c '' >/dev/null 2>&1; then
    # What tests need includes what Paddock needs.
    if installed_as requirements-dev.txt || installed_as "$requirements"; then
        exit 0
    fi
else
    find_python
    echo "Making .venv with $("$python" --version 2>&1) ..." >&2
    "$python" -m venv --clear .venv >/dev/null || fail "$python -m venv failed; the lines above say why"
fi

echo "Installing from $requirements, which takes a minute the first time ..." >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements" -c constraints.txt ||
    fail "installing failed; the lines above say why (it needs to reach the Python package index)"
printf '%s\n' "$wanted" >".venv/.paddock-$requirements"
