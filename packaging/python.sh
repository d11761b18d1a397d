# Sourced by run and test: finds a Python, makes a virtual environment and installs ROCI into it.

fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

say() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
}

# A name on the PATH may be a shim that points nowhere, so every candidate is run.
is_recent_python() {
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Prints the Python to use. $PYTHON wins; then the system's own, which is the one that gets updates.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_recent_python "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or later"
        echo "$PYTHON"
        return
    fi
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
        if is_recent_python "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "ROCI needs Python 3.11 or later and found $(python3 --version 2>&1 || true).
On Debian 12, Ubuntu 24.04 and later: apt install python3 python3-venv. Or name one: PYTHON=/path/to/python3.13 $0"
}

# make_venv PYTHON FOLDER
make_venv() {
    if "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        "$1" -m venv "$2"
    elif "$1" -m pip --version >/dev/null 2>&1 && "$1" -m venv --without-pip "$2"; then
        # Debian without python3-venv: its pip can put one into another environment.
        "$1" -m pip --quiet --disable-pip-version-check --python "$2/bin/python" install pip
    else
        rm -rf "$2"
        fail "$1 cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"
    fi
}

# What an installation depends on: editable, so not on the code, but on the lists of dependencies and on the place.
fingerprint() {
    { pwd; cat pyproject.toml packaging/ui/vendor.json packaging/ui/fetch.py; } | sha256sum | cut -d' ' -f1
}

# is_installed FOLDER STAMP
is_installed() {
    [ -x "$1/bin/roci" ] && [ "$(cat "$1/$2" 2>/dev/null)" = "$(fingerprint)" ]
}

# install_into FOLDER STAMP EXTRAS: makes the environment if need be. The stamp comes last: a half-done one is redone.
install_into() {
    local folder=$1 stamp=$2 extras=$3
    if ! [ -x "$folder/bin/python" ] || ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
        local python
        python=$(find_python)
        say "making $folder with $("$python" --version)"
        rm -rf "$folder"
        make_venv "$python" "$folder"
    fi
    say "installing ROCI into $folder (a minute or so, the first time)"
    "$folder/bin/python" -m pip --quiet --disable-pip-version-check install --editable ".${extras:+[$extras]}" ||
        fail "the installation failed; what pip said is above"
    fingerprint >"$folder/$stamp"
}
