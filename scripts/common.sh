# shellcheck shell=bash
# Functions of the other scripts; sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

note() { printf '%s\n' "$*" >&2; }

fail() {
    note "error: $*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

step() { note "== $*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    have apt-get || return 1
    [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

# apt_install WHAT PACKAGE...: installs Debian packages, or says what the user has to install.
apt_install() {
    local what=$1
    shift
    if ! may_install; then
        note "error: $what is missing, and this user may not install packages. Install it, then try again:"
        note "  Debian, Ubuntu:  sudo apt install $*"
        note "  other systems:   the package that provides $what"
        exit 69
    fi
    note "installing $what: $*"
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@")
    as_root "${install[@]}" </dev/null >&2 2>/dev/null && return
    as_root apt-get update -qq </dev/null >&2
    as_root "${install[@]}" </dev/null >&2 || fail "cannot install $*"
}

# Prints a directory outside of the clone for things that are slow to make.
cache_dir() {
    local dir=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/posthouse
    mkdir -p "$dir" 2>/dev/null || dir=$PWD/target/cache
    mkdir -p "$dir"
    printf '%s\n' "$dir"
}

# Prints the directory of a Python environment with scripts/requirements.txt, making it first.
python_env() {
    local dir
    dir=$(cache_dir)/python-$(cksum <scripts/requirements.txt | cut -d' ' -f1)
    if [ ! -e "$dir/complete" ]; then
        note "installing Python packages into $dir"
        rm -rf "$dir"
        python3 -m venv "$dir" >&2 &&
            "$dir/bin/pip" install --quiet --disable-pip-version-check \
                --requirement scripts/requirements.txt >&2 &&
            touch "$dir/complete" || return 1
    fi
    printf '%s\n' "$dir"
}

target_dir() { printf '%s\n' "${CARGO_TARGET_DIR:-target}"; }
