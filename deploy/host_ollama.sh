#!/bin/sh
# The host's Ollama, for containers: `sh deploy/host_ollama.sh pull|serve|serve-bg|kill|restart|logs`.
#
# The gateway is an `ollama serve` bound to the address of the Docker bridge, which containers reach and other
# machines don't. It is told apart from any other Ollama of this machine by its pid file.
#   GATEWAY_ADDRESS   where it listens instead; never every interface
#   GATEWAY_PORT      11434
#   AI_MODEL          what `pull` pulls
set -eu
cd "$(dirname "$0")/.."

default_model=llama3.1:8b-instruct-q6_K
default_bridge=172.17.0.1 # of a Docker whose configuration nobody changed
port=${GATEWAY_PORT:-11434}
var=${PADDOCK_VAR:-var}
pid_file=$var/ollama-gateway.pid
address_file=$var/ollama-gateway.address
log=$var/log/ollama-gateway.log

fail() {
    echo "paddock: $*" >&2
    exit 1
}

nap() { # not every sleep takes fractions
    sleep 0.2 2>/dev/null || sleep 1
}

need_ollama() {
    command -v ollama >/dev/null 2>&1 || fail "ollama is missing: install it (https://ollama.com/download)"
}

find_address() { # sets $address
    address=${GATEWAY_ADDRESS-}
    if [ -z "$address" ]; then
        command -v docker >/dev/null 2>&1 ||
            fail "docker is missing: install it (https://docs.docker.com/engine/install/), or set GATEWAY_ADDRESS"
        system=$(docker info --format '{{.OperatingSystem}}' 2>/dev/null) ||
            fail "docker does not answer: start its engine, or set GATEWAY_ADDRESS (usually $default_bridge)"
        case $system in
            # Its containers' host.docker.internal leads to this machine's loopback; the bridge is in a VM.
            *"Docker Desktop"*) address=127.0.0.1 ;;
            *) find_bridge ;;
        esac
    fi
    case $address in
        0.0.0.0 | 0 | :: | '[::]' | '*') fail "GATEWAY_ADDRESS=$address is every interface: name the one of the bridge" ;;
    esac
}

find_bridge() { # sets $address
    for gateway in $(docker network inspect bridge \
        --format '{{range .IPAM.Config}}{{.Gateway}} {{end}}' 2>/dev/null); do
        case $gateway in
            *.*.*.*) address=$gateway && return ;;
        esac
    done
    address=$default_bridge
    echo "docker tells no address of its bridge; taking $default_bridge (GATEWAY_ADDRESS chooses another)" >&2
}

command_of() { # of the process with this id; nothing where there is none
    ps -p "$1" -o args= 2>/dev/null || tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" || true
}

is_serving() { # whether this process is there, and more than the remains that its parent has not yet collected
    case $(command_of "$1") in
        *"ollama serve"*) true ;;
        *) false ;;
    esac
}

gateway_pid() { # the gateway's process id; fails where none runs
    # After a restart of the machine the number may be another program's.
    [ -f "$pid_file" ] && pid=$(cat "$pid_file") && is_serving "$pid" && echo "$pid"
}

other_pids() { # of those that serve and are not the gateway
    ps -A -o pid=,args= 2>/dev/null | while read -r pid arguments; do
        case $arguments in
            "ollama serve" | */"ollama serve")
                [ "$pid" = "${1-}" ] || printf '%s ' "$pid"
                ;;
        esac
    done
}

tell_others() {
    others=$(other_pids "${1-}")
    if [ -n "$others" ]; then
        echo "Another Ollama runs, which is left alone: process ${others% }."
    fi
}

prepare() { # before either way of serving; ends the script where there is nothing to do
    need_ollama
    if pid=$(gateway_pid); then
        echo "The gateway already serves on $(cat "$address_file") (process $pid)."
        exit 0
    fi
    find_address
    if OLLAMA_HOST=$address:$port ollama list >/dev/null 2>&1; then
        echo "An Ollama that was not started here serves on $address:$port already; containers can use it."
        exit 0
    fi
    mkdir -p "$var/log"
    chmod 700 "$var"
    echo "$address:$port" >"$address_file"
    tell_others
}

serve() {
    prepare
    echo "Ollama serves on $address:$port, for containers; Ctrl-C ends it."
    echo $$ >"$pid_file"
    OLLAMA_HOST=$address:$port
    export OLLAMA_HOST
    exec ollama serve
}

serve_in_background() {
    prepare
    OLLAMA_HOST=$address:$port nohup ollama serve >"$log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$pid_file"
    waited=0
    until OLLAMA_HOST=$address:$port ollama list >/dev/null 2>&1; do
        kill -0 "$pid" 2>/dev/null || give_up "ollama serve ended: $(tail -n 1 "$log")"
        [ "$waited" -lt 100 ] || give_up "ollama serve does not answer on $address:$port; see $log"
        nap
        waited=$((waited + 1))
    done
    # Somebody else's answer, where ours could not have the port.
    kill -0 "$pid" 2>/dev/null || give_up "ollama serve ended: $(tail -n 1 "$log")"
    echo "Ollama serves on $address:$port, for containers (process $pid, log $log)."
}

give_up() {
    kill "$pid" 2>/dev/null || true
    rm -f "$pid_file" "$address_file"
    fail "$*"
}

end() {
    if pid=$(gateway_pid); then
        kill "$pid"
        waited=0
        while is_serving "$pid"; do
            if [ "$waited" -ge 50 ]; then
                kill -KILL "$pid" 2>/dev/null || true
                break
            fi
            nap
            waited=$((waited + 1))
        done
        echo "The gateway has ended (process $pid)."
    else
        pid=
        echo "No gateway runs."
    fi
    rm -f "$pid_file" "$address_file"
    tell_others "$pid"
}

pull() {
    need_ollama
    model=${AI_MODEL:-$default_model}
    if gateway_pid >/dev/null; then
        OLLAMA_HOST=$(cat "$address_file") # its models are those that containers get
        export OLLAMA_HOST
    fi
    ollama list >/dev/null 2>&1 ||
        fail "no Ollama answers at ${OLLAMA_HOST:-127.0.0.1:11434}: make ai-ollama-serve-docker-gateway-bg starts one"
    if ollama show "$model" >/dev/null 2>&1; then
        echo "$model is there."
    else
        ollama pull "$model"
    fi
}

logs() {
    [ -f "$log" ] || fail "no log yet: make ai-ollama-serve-docker-gateway-bg writes $log"
    tail -n 100 "$log"
}

case "${1-}" in
    pull) pull ;;
    serve) serve ;;
    serve-bg) serve_in_background ;;
    kill) end ;;
    restart)
        end
        serve_in_background
        ;;
    logs) logs ;;
    *) fail "usage: sh deploy/host_ollama.sh pull|serve|serve-bg|kill|restart|logs" ;;
esac
