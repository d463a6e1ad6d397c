# Installs what the tests need beside Python: a browser and PostgreSQL. Only as root on Debian; elsewhere the tests
# that need them are skipped, and say so.

install_services() {
    local missing=""
    command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing$missing ..." >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update >&2 && apt-get -qq install -y $missing >/dev/null 2>&1 || echo "Could not install$missing." >&2
    else
        echo "MISSING:$missing. The tests that need them are skipped." >&2
    fi
}
