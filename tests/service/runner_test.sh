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
    contains "$(tail -n 6 <<<"$output")" '^failed: .*/1_test.sh$'
    contains "$(tail -n 5 <<<"$output")" '^    not ok - a$'
    contains "$(tail -n 4 <<<"$output")" '^failed: .*/3_test.sh (ended by signal 11)$'
    contains "$(tail -n 3 <<<"$output")" '^    x.cpp(7): error: in "slow": no$'
}
# summary PROGRAM...: the last two lines.
summary() { run_of 0 '' "$@" | tail -n 2; }
test_what_was_skipped_is_told_and_is_not_passed() {
    local output
    output=$(summary $'echo ok - a\necho "ok - b # SKIP needs root"' \
        "printf '# SKIP suite/case: no tmpfs\n'; $(boost passed '  3 test cases out of 3 passed\n' 0)") || true
    contains "$output" '^2 skipped: .*/1_test.sh: b (needs root); .*/2_test.sh: suite/case (no tmpfs)$'
    contains "$output" '^3 passed, 0 failed$'
    output=$(summary 'echo "ok - b # SKIP needs root"') || true
    contains "$output" '^0 passed, 0 failed$'
    output=$(summary 'echo ok - a') || true
    contains "$output" '^0 skipped:$'
}
test_a_script_skips_with_a_reason() {
    cat >"$scratch/skipping_test.sh" <<END
source "$PWD/tests/support/shell_test.sh"
test_one() { skip 'no such thing here'; false; }
test_two() { true; }
run_tests
END
    contains "$(bash "$scratch/skipping_test.sh")" '^ok - one # SKIP no such thing here$'
    contains "$(bash "$scratch/skipping_test.sh")" '^ok - two$'
}
test_no_test_is_no_success()         { run_of 1 '0 passed, 1 failed'; }

run_tests
