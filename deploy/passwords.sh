#!/bin/sh
# Writes the passwords that docker-compose.yml asks for into .env, where neither .env nor the environment has them.
set -eu
cd "$(dirname "$0")/.."
umask 077

for name in POSTGRES_PASSWORD FLOWER_PASSWORD; do
    eval "given=\${$name-}"
    if [ -n "$given" ] || { [ -f .env ] && grep -Eq "^(export )?$name=.+" .env; }; then
        continue
    fi
    # A file whose last line does not end would swallow ours.
    if [ -s .env ] && [ -n "$(tail -c 1 .env)" ]; then
        echo >>.env
    fi
    printf '%s=%s\n' "$name" "$(od -An -N 24 -tx1 /dev/urandom | tr -d ' \n')" >>.env
    echo "Made $name, in .env (git and the image leave that file out)."
done
if [ -f .env ]; then
    chmod 600 .env
fi
