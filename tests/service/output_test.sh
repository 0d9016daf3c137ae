#!/bin/bash
# What the programs print arrives, or they say so; what they print can't steer a terminal; descriptors that were closed are not reused.
source "$(dirname "$0")/../support/shell_test.sh"

site=$scratch/site
mkdir -p "$site/logs"
cat >"$site/recto.ini" <<INI
[site]
data = $site
[server]
socket = $site/recto.sock
runtime_dir = $site/run
[cache]
servers = unix:$site/memcached.sock
INI
recto() { "$BUILD/recto" --config "$site/recto.ini" "$@"; }
tokens() { recto token list | tail -n +2; }
{ recto migrate && recto user add ada && recto user add $'bob\u202e'; } >/dev/null || { echo 'not ok - set_up'; exit 1; }

# lost COMMAND...: its output goes nowhere; one line says so, and its status is 1.
lost() {
    local status=0
    "$@" 2>"$scratch/errors" || status=$?
    [ "$status" = 1 ] && [ "$(wc -l <"$scratch/errors")" = 1 ] && grep -q 'cannot write to standard output: ' "$scratch/errors" ||
        { echo "status $status of $*"; cat "$scratch/errors"; return 1; }
}
full() { "$@" >/dev/full; }
closed() { "$@" >&-; }
# The reader has ended before anything is written.
unread() { { until [ -e "$scratch/ended" ]; do sleep 0.01; done; "$@" 3>&-; } > >(exec 0<&-; touch "$scratch/ended"); }

test_a_lost_output_is_an_error_of_every_command() {
    for way in full closed unread; do
        rm -f "$scratch/ended"
        lost "$way" recto check
        lost "$way" recto show-config
        lost "$way" recto routes
        lost "$way" recto user list
        lost "$way" recto post list
        lost "$way" recto token list
        lost "$way" recto migrate
        lost "$way" recto cache stats
        lost "$way" recto cache explain '/api/blogs?author_id=1'
        lost "$way" recto log level
        lost "$way" recto log slow
        lost "$way" recto backup --force "$scratch/backup.db"
        lost "$way" recto --help
        lost "$way" recto log grep --help
    done
}
test_a_token_that_was_not_shown_is_not_made() {
    for way in full closed unread; do
        rm -f "$scratch/ended"
        lost_token() { "$way" recto token create ada; }
        no lost_token 2>/dev/null
        [ -z "$(tokens)" ]
    done
    no recto token create ada 2>/dev/full
    [ -z "$(tokens)" ]
    no grep -r token.create "$site/logs"
    [ "$(recto token create ada --label shown 2>/dev/null | wc -c)" = 41 ]
    contains "$(tokens)" shown
    recto token revoke "$(tokens | cut -d ' ' -f 1)"
}
test_follow_ends_with_its_reader_and_fails_on_a_full_disk() {
    printf '%s\n' '2026-01-01 10:00:00.000001Z 7 8 {"ev":"a","data":null}' >>"$site/logs/recto.log"
    lost full timeout 20 "$BUILD/recto" --config "$site/recto.ini" log follow
    lost closed timeout 20 "$BUILD/recto" --config "$site/recto.ini" log follow
    timeout 20 "$BUILD/recto" --config "$site/recto.ini" log follow | head -n 1 >/dev/null
    [ "${PIPESTATUS[0]}" = 0 ]
}
test_a_warning_that_was_lost_is_an_error() {
    cp "$site/recto.ini" "$site/warned.ini"
    printf '[logger recto.cahce]\nlevel = debug\n' >>"$site/warned.ini"
    "$BUILD/recto" --config "$site/warned.ini" check >/dev/null 2>&1
    no "$BUILD/recto" --config "$site/warned.ini" check >/dev/null 2>/dev/full
    "$BUILD/recto" --config "$site/warned.ini" check >/dev/null 2>&-
}
test_what_cannot_be_read_empties_no_post() {
    recto post set kept --title Kept --body - <<<'The text.' >/dev/null
    without_input() { "$@" <&-; }
    from_a_folder() { "$@" </; }
    fails_with 'cannot read standard input' without_input recto post set kept --body -
    fails_with 'cannot read standard input' from_a_folder recto post set kept --body -
    [ "$(sqlite3 "$site/recto.db" "SELECT body FROM post WHERE slug = 'kept'")" = 'The text.' ]
}
test_a_lost_response_is_an_error_of_the_worker() {
    cgi() { env REQUEST_METHOD=GET REQUEST_URI=/api/blogs?author_id=1 QUERY_STRING=author_id=1 "$BUILD/recto.fcgi" --config "$site/recto.ini"; }
    contains "$(cgi)" '^Status: '
    without_input() { cgi <&-; }
    contains "$(without_input)" '^Status: '
    no full cgi 2>"$scratch/errors"
    grep -q 'cannot write the response: No space left on device' "$scratch/errors"
    no closed cgi 2>/dev/null
}

# Each way to close some of 0, 1 and 2, as a redirection each.
ways() { printf '%s\n' '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; }

test_nothing_is_printed_into_files_that_were_opened_later() {
    local commands=('cache stats' 'user list' 'log slow' 'throttle show' 'token create ada' 'token create nobody' 'cache flush' 'check --nonsense')
    while read -r way; do
        for command in "${commands[@]}"; do
            eval "\"\$BUILD/recto\" --config \"\$site/recto.ini\" $command $way" >"$scratch/said" 2>&1 || true
        done
    done < <(ways)
    no grep -vE '^[0-9-]{10} [0-9:.]{15}Z [0-9]+ [0-9]+ (\{"ev":|[^|]*txid=|)' "$site/logs/recto.log"
    no grep -E 'COUNTED|epoch +[0-9]|standard output|there is no user|Run with' "$site/logs/recto.log"
    [ "$(sqlite3 "$site/recto.db" 'PRAGMA integrity_check')" = ok ]
}
# The descriptors of a worker that runs, which `ls` shows with where they lead.
test_a_worker_fills_what_is_closed_and_listens_on_a_socket_of_its_own() {
    local way pid fd
    while read -r way; do
        rm -f "$site/recto.sock"
        eval "exec \"\$BUILD/recto.fcgi\" --config \"\$site/recto.ini\" $way" &
        pid=$!
        eventually test -S "$site/recto.sock"
        for fd in 0 1 2; do
            no grep -E 'socket|site|deleted' <<<"$(readlink /proc/$pid/fd/$fd)"
            case "$fd $way" in
            0*' <&-'* | 1*' >&-'* | 2*' 2>&-'*) [ "$(readlink /proc/$pid/fd/$fd)" = /dev/null ] ;;
            esac
        done
        kill "$pid"
        wait "$pid"
    done < <(ways)
}

# plain COMMAND...: nothing of what it prints, on either stream, is a control character, and it shows what was there.
plain() {
    local wanted=$1 output
    shift
    output=$("$@" 2>&1) || true
    [ -n "$output" ] && no grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]' <<<"$output"
    contains "$output" "$wanted"
}
test_what_a_file_or_an_argument_holds_is_escaped() {
    local evil=$'\e]0;x\a' folder
    plain 'x1b\]0;x' recto "nonsense$evil"
    plain 'x1b\]0;x' recto token create "nobody$evil"
    plain 'u009b31m' recto token create $'nobody\u009b31m'
    plain 'u202e' recto user list
    plain 'x1b\]0;x' recto cache get "key$evil"
    plain 'x1b\]0;x' recto cache invalidate "post$evil"
    plain 'x1b\]0;x' recto cache explain "/nowhere$evil"
    plain 'x1b\]0;x' recto throttle explain "who$evil"
    plain 'x1b\]0;x' recto post publish "slug$evil"
    plain 'x1b\]0;x' recto post set hello --date "today$evil" --title x
    plain 'x1b\]0;x' recto restore "$scratch/none$evil"
    plain 'x1b\]0;x' recto backup "$scratch/none/none$evil"
    plain 'x1b\]0;x' recto import "$scratch/none$evil"
    plain 'x1b\]0;x' "$BUILD/recto" --config "$scratch/none$evil" check
    plain 'x1b\]0;x' recto log slow --since "1h$evil"
    plain 'nobody\\nrecto: done' recto token create $'nobody\nrecto: done'
    cp "$site/recto.ini" "$site/mistaken$evil.ini"
    printf '[cache]\ntimeout = 5\u009bs\n[nonsense\u202e]\na = b\n' >>"$site/mistaken$evil.ini"
    plain 'x1b\]0;x.*u009bs' "$BUILD/recto" --config "$site/mistaken$evil.ini" check
    folder="$scratch/posts$evil"
    mkdir "$folder"
    printf -- '---\ntitle: a\ndate: %s\n---\nText.\n' "$evil" >"$folder/one$evil.md"
    plain 'x1b\]0;x' recto import "$folder"
    printf '2026-01-01 10:00:00.000001Z 7 8 from outside \e[31m\u009b0m \u202e txid=00112233445566778899aabbccddeeff\n' >>"$site/logs/recto.log"
    plain 'x1b\[31m.u009b0m .u202e' recto log grep 00112233445566778899aabbccddeeff
}

run_tests
