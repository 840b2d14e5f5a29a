# shellcheck shell=bash
# Functions of the other scripts; sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# In the terminal that has just installed Rust, PATH does not have it yet.
PATH=$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin

note() { printf '%s\n' "$*" >&2; }

fail() {
    note "error: $*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

step() { note "== $*"; }

# At a terminal sudo may ask for a password; elsewhere nobody would answer.
sudo_flags=(-n)
[ ! -t 0 ] || sudo_flags=()

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo ${sudo_flags[@]+"${sudo_flags[@]}"} "$@"; fi
}

may_install() {
    have apt-get || return 1
    [ "$(id -u)" = 0 ] && return
    have sudo || return 1
    # Not `sudo -v`, which asks some users for a password that installing does not need.
    sudo -n true 2>/dev/null || { [ -t 0 ] && as_root true; }
}

missing=()
packages=()

# need WHAT PACKAGE...: what install_needed has to install, and its Debian packages.
need() {
    missing+=("$1")
    shift
    packages+=("$@")
}

# Installs everything at once, or says everything that the user has to install.
install_needed() {
    [ ${#packages[@]} -gt 0 ] || return 0
    local what
    what=$(printf ', %s' "${missing[@]}")
    note "missing: ${what#, } (${packages[*]})"
    if ! may_install; then
        note "error: this user may not install packages here. Install them, then try again:"
        note "  Debian, Ubuntu (as root):  apt install ${packages[*]}"
        note "  other systems:             the packages that provide them"
        exit 69
    fi
    note "installing; this takes a minute"
    as_root bash "$PWD/scripts/apt-install" "${packages[@]}" </dev/null >&2 ||
        fail "cannot install ${packages[*]}"
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

# shellcheck disable=SC2034 # for the scripts that source this
no_node="Node.js 20.19 or newer with npm is needed; see https://nodejs.org"

# Whether Node.js is here and new enough for the tools of package.json.
has_node() {
    local version
    have npm && version=$(node --version 2>/dev/null) &&
        printf '%s\n' v20.19 "$version" | sort -V -C
}

# Installs what package-lock.json names, unless that was done already.
node_packages() {
    local mark
    has_node || return
    mark=node_modules/.complete-$(cksum <package-lock.json | cut -d' ' -f1)
    [ ! -e "$mark" ] || return 0
    note "installing npm packages into node_modules"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 && touch "$mark"
}

# The oldest Rust that builds the code, and the one whose lints it follows.
rust_version() { sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml; }

target_dir() { printf '%s\n' "${CARGO_TARGET_DIR:-target}"; }
