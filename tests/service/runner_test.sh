#!/bin/bash
# tests/run counts right, above all what went wrong.
source "$(dirname "$0")/../support/shell_test.sh"

# run_of EXPECTED-STATUS LAST-LINE PROGRAM...: each program is the text of a script.
run_of() {
    local status=0 wanted=$1 last=$2 programs=() output
    shift 2
    for text; do
        programs+=("$scratch/$((${#programs[@]} + 1))_test.sh")
        printf '#!/bin/bash\n%s\n' "$text" >"${programs[-1]}"
        chmod +x "${programs[-1]}"
    done
    output=$(BUILD=$scratch/build TEST_TIMEOUT=1 tests/run "${programs[@]}" 2>&1) || status=$?
    [ "$status" = "$wanted" ] && [ "$(tail -n 1 <<<"$output")" = "$last" ] || { echo "status $status"; echo "$output"; return 1; }
}

boost() { printf 'printf "\\nTest module \\"x\\" has %s with:\\n%s"; exit %d' "$1" "$2" "$3"; }

test_lines_of_scripts_are_counted()  { run_of 0 '3 passed, 0 failed' $'echo ok - a\necho ok - b' 'echo ok - c'; }
test_a_failed_line_fails_the_run()   { run_of 1 '2 passed, 1 failed' $'echo ok - a\necho not ok - b\nexit 1' 'echo ok - c'; }
test_boosts_report_is_counted() {
    run_of 0 '5 passed, 0 failed' "$(boost passed '  5 test cases out of 5 passed\n  9 assertions out of 9 passed\n' 0)"
    run_of 1 '2 passed, 2 failed' \
        "$(boost failed '  2 test cases out of 4 passed\n  2 test cases out of 4 failed\n  1 test case out of 4 aborted\n' 201)"
}
test_a_crash_counts_as_failed()      { run_of 1 '1 passed, 1 failed' $'echo ok - a\nkill -SEGV $$'; }
test_a_hang_ends_and_counts()        { run_of 1 '0 passed, 1 failed' 'sleep 600'; }
test_silence_counts_as_failed()      { run_of 1 '0 passed, 1 failed' 'true'; }
test_a_status_alone_counts()         { run_of 1 '1 passed, 1 failed' $'echo ok - a\nexit 3'; }
test_failures_are_named_again_at_the_end() {
    local output
    output=$(run_of 1 '' $'echo not ok - a\nexit 1' 'echo ok - c' 'echo "x.cpp(7): error: in \"slow\": no"; kill -SEGV $$') || true
    contains "$(tail -n 5 <<<"$output")" '^failed: .*/1_test.sh$'
    contains "$(tail -n 4 <<<"$output")" '^    not ok - a$'
    contains "$(tail -n 3 <<<"$output")" '^failed: .*/3_test.sh (ended by signal 11)$'
    contains "$(tail -n 2 <<<"$output")" '^    x.cpp(7): error: in "slow": no$'
}
test_no_test_is_no_success()         { run_of 1 '0 passed, 1 failed'; }

run_tests
