# Sourced by run and test: installs and starts a Docker engine where there is none. Needs python.sh and $venv.

ENGINE_PID=
ENGINE_LOG=

# Whether the engine that $DOCKER_HOST names (or the usual socket) answers.
engine_answers() {
    "$venv/bin/python" -c 'import docker; docker.from_env(timeout=5).ping()' 2>/dev/null
}

may_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

# install_packages NAME…: those that are missing, through apt.
install_packages() {
    local missing=() name
    for name in "$@"; do
        [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} = 0 ] && return
    say "installing ${missing[*]}"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    { "${apt[@]}" update && "${apt[@]}" install --yes --no-install-recommends "${missing[@]}"; } >/dev/null ||
        fail "apt-get could not install ${missing[*]}"
}

install_engine() {
    may_install || fail "installing a Docker engine needs root on Debian or Ubuntu; elsewhere see docs.docker.com/engine/install"
    # Another packaging of the engine (docker-ce) is as good.
    command -v dockerd >/dev/null || install_packages docker.io
    install_packages iptables
}

# start_engine LOG DOCKERD-ARGS…: in a session of its own, so that Ctrl-C here does not end it. Sets ENGINE_PID.
start_engine() {
    ENGINE_LOG=$1
    shift
    setsid dockerd "$@" >>"$ENGINE_LOG" 2>&1 </dev/null &
    ENGINE_PID=$!
    local tries
    for tries in $(seq 60); do
        engine_answers && return
        kill -0 "$ENGINE_PID" 2>/dev/null || break
        sleep 0.5
    done
    tail -n 15 "$ENGINE_LOG" >&2
    fail "dockerd did not start; its last lines are above"
}
