# Makes the environment in .venv when it is missing or older than its requirements. Sourced by run, test and .ci/run.
# Takes one argument: the requirements file, "run" or "test".

make_environment() {
    local kind="$1" root="$2" python=""
    for candidate in "${MERCURI_PYTHON:-}" python3.11 python3.12 python3.13 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python="$candidate"
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "Mercuri needs Python 3.11 or newer; none was found. Install it, or name it in MERCURI_PYTHON." >&2
        return 1
    fi
    local stamp="$root/.venv/$kind.stamp"
    local wanted
    wanted=$(cat "$root/requirements/$kind.txt" "$root/scripts/environment.sh" | cksum)
    # The test environment holds all that running needs.
    if [ "$kind" = run ] && [ -f "$root/.venv/test.stamp" ] && [ -x "$root/.venv/bin/python" ]; then
        local tested
        tested=$(cat "$root/requirements/test.txt" "$root/scripts/environment.sh" | cksum)
        [ "$(cat "$root/.venv/test.stamp")" = "$tested" ] && return 0
    fi
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$root/.venv/bin/python" ]; then
        return 0
    fi
    echo "Setting up the environment in .venv (once) ..." >&2
    [ -x "$root/.venv/bin/python" ] || "$python" -m venv "$root/.venv" || {
        echo "Could not make a virtual environment; on Debian: apt-get install python3-venv" >&2
        return 1
    }
    "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r "$root/requirements/$kind.txt" >&2 || return 1
    "$root/.venv/bin/python" - "$root/src" <<'PYTHON'
import pathlib
import sys
import sysconfig

pathlib.Path(sysconfig.get_path("purelib"), "mercuri.pth").write_text(sys.argv[1] + "\n")
PYTHON
    echo "$wanted" > "$stamp"
}
