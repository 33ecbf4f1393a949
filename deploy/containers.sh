#!/bin/sh
# The services of docker-compose.yml: `sh deploy/containers.sh up|restart|stop|down|health|logs`.
#   HEALTH_TIMEOUT_SECONDS   how long `health` waits for the API; 60
set -eu
cd "$(dirname "$0")/.."

api=ollama-functions
timeout=${HEALTH_TIMEOUT_SECONDS:-60}

fail() {
    echo "paddock: $*" >&2
    exit 1
}

need_docker() {
    command -v docker >/dev/null 2>&1 ||
        fail "docker is missing: install it (https://docs.docker.com/engine/install/)"
    docker compose version >/dev/null 2>&1 ||
        fail "docker compose is missing: install the plugin (https://docs.docker.com/compose/install/)"
    docker info >/dev/null 2>&1 ||
        fail "docker does not answer: start its engine, and see that this user may use it"
}

compose() { # with what only a profile has, or an Ollama in a container would be left running
    docker compose --profile ollama "$@"
}

find_fetch() { # sets $fetch, which writes the body of a URL; no proxy between this machine and itself
    unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
    if command -v curl >/dev/null 2>&1; then
        fetch='curl --silent --fail --max-time 5'
    elif command -v wget >/dev/null 2>&1; then
        fetch='wget -q -T 5 -O -'
    else
        fail "curl is missing (wget would do): install it"
    fi
}

up() {
    sh deploy/passwords.sh
    docker compose up --detach "$@"
}

health() {
    find_fetch
    waited=0
    while :; do
        # Where compose published it, whatever PORT and PUBLISH_ADDRESS were; every interface is this one too.
        where=$(docker compose port $api 8000 2>/dev/null | sed 's/^0\.0\.0\.0:/127.0.0.1:/; s/^\[::\]:/127.0.0.1:/') || where=
        if [ -n "$where" ] && body=$($fetch "http://$where/healthz"); then
            printf '%s\n' "$body"
            return
        fi
        [ "$waited" -lt "$timeout" ] || break
        sleep 1
        waited=$((waited + 1))
    done
    [ -n "$where" ] || fail "$api is not up: make ai-up-ollama-functions starts it"
    fail "$api did not answer at http://$where/healthz within $timeout s: make ai-ollama-functions-logs"
}

need_docker
case "${1-}" in
    up)
        up
        echo "Up. make ai-ollama-functions-health waits until the API answers."
        ;;
    restart)
        up --build --force-recreate $api worker flower
        echo "Rebuilt and restarted. make ai-ollama-functions-health waits until the API answers."
        ;;
    stop) compose stop ;;
    down)
        compose down
        echo "Removed the containers. Jobs, keys and models stay, in volumes."
        ;;
    health) health ;;
    logs) docker compose logs --no-color --tail 100 $api ;;
    *) fail "usage: sh deploy/containers.sh up|restart|stop|down|health|logs" ;;
esac
