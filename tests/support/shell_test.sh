# shell_test.sh - sourced by the test scripts of tests/service: each function test_… is a case, run in a subshell that stops at the
# first command that fails, and names it. `run_tests` runs them all and prints a line `ok - NAME` or `not ok - NAME` for each.
#
# $scratch is a folder of this script alone, removed at the end; $BUILD is absolute.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(realpath -m -- "${BUILD:-build}")
export BUILD
scratch=$(mktemp -d "${TMPDIR:-/tmp}/recto-test-XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 130' INT TERM

run_tests() {
    local name status all=0
    for name in $(declare -F | sed -n 's/^declare -f test_//p'); do
        rm -f "$scratch/skipped"
        (set -eE; trap 'echo "line $LINENO failed: $BASH_COMMAND" >&2' ERR; "test_$name") >"$scratch/output" 2>&1
        status=$?
        if [ "$status" = 0 ] && [ -s "$scratch/skipped" ]; then
            echo "ok - $name # SKIP $(cat "$scratch/skipped")"
        elif [ "$status" = 0 ]; then
            echo "ok - $name"
        else
            echo "not ok - $name"
            sed 's/^/    /' "$scratch/output"
            all=1
        fi
    done
    return "$all"
}

# contains TEXT PATTERN: fails, and shows the text, when no line of it matches.
contains() {
    grep -q -e "$2" <<<"$1" || { printf 'expected a line with: %s\nin:\n%s\n' "$2" "$1"; return 1; }
}

# fails_with PATTERN COMMAND...: the command must fail, and say so.
fails_with() {
    local pattern=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf 'expected a failure of: %s\n%s\n' "$*" "$output"
        return 1
    fi
    contains "$output" "$pattern"
}

# skip REASON: ends the case, which can't be tried here; tests/run tells the reason.
skip() {
    echo "$*" >"$scratch/skipped"
    exit 0
}

# no COMMAND...: the command must fail. (`set -e` overlooks `! command`.)
no() {
    if "$@"; then
        echo "expected to fail: $*"
        return 1
    fi
}

# eventually COMMAND...: until it succeeds, 20 s at most.
eventually() {
    local end=$((SECONDS + 20))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || { echo "never came true: $*"; return 1; }
        sleep 0.05
    done
}

# A port of the loopback address that nobody listens on.
free_port() {
    local port
    for ((tries = 0; tries < 100; tries++)); do
        port=$((20000 + RANDOM % 12000))
        (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null || { echo "$port"; return; }
    done
    return 1
}
