#!/bin/bash
# `make run`: what it refuses, what it starts, and that nothing of it stays.
source "$(dirname "$0")/../support/shell_test.sh"

export DATA=$scratch/data WORKERS=2
PORT=$(free_port)
export PORT
shared_memory=/dev/shm/recto-$(printf %s "$DATA" | sha256sum | cut -c 1-12)
trap 'rm -rf -- "$scratch" "$shared_memory"' EXIT

start_run() {
    : >"$scratch/run.out"  # here and now: the one in the background may come late, and the last test's `ready` would be found
    etc/dev/run >"$scratch/run.out" 2>&1 &
    runner=$!
    trap 'kill -TERM "$runner" 2>/dev/null && wait "$runner" || true' EXIT
    eventually ready_or_gone
    contains "$(cat "$scratch/run.out")" "^ready http://127.0.0.1:$PORT/$"
}
ready_or_gone() { grep -q '^ready' "$scratch/run.out" || ! kill -0 "$runner" 2>/dev/null; }

ended_with() {
    local status=0
    wait "$runner" || status=$?
    [ "$status" = "$1" ] || { echo "ended with $status"; cat "$scratch/run.out"; return 1; }
}

# All that carries our DATA in its command line, but for the test itself.
processes() { pgrep -f -- "$DATA" || true; }
nothing_runs() { [ -z "$(processes)" ]; }

healthz() { curl -fsS -o /dev/null --max-time 5 "http://127.0.0.1:$PORT/healthz"; }
worker()  { pgrep -o -f -- "^[^ ]*recto.fcgi --config $DATA/recto.ini"; }
workers() { pgrep -c -f -- "^[^ ]*recto.fcgi --config $DATA/recto.ini"; }
two_workers() { [ "$(workers)" = 2 ]; }

test_a_port_of_the_system_is_refused()  { PORT=80 fails_with 'PORT=80: ports below 1024' etc/dev/run; nothing_runs; }
test_a_port_that_is_none_is_refused() {
    for port in http 0 65536 99999 -1 80a; do PORT=$port fails_with "PORT=$port: " etc/dev/run; done
}
test_workers_must_be_a_number()         { WORKERS=many fails_with 'WORKERS=many: expected 1 to 64' etc/dev/run; }
test_a_path_too_deep_for_sockets_is_refused() {
    DATA=$scratch/$(printf 'deep%.0s' {1..30}) fails_with 'too deep.*107' etc/dev/run
    [ "$(ls "$scratch" | grep -c deep)" = 0 ]
}
test_bytes_count_not_letters() {  # 30 letters of 2 bytes
    DATA=/tmp/$(printf 'ä%.0s' {1..45}) fails_with 'too deep.*107' etc/dev/run
}
test_a_path_that_nginx_cannot_quote_is_refused() { DATA="$scratch/two words" fails_with 'a path with blanks' etc/dev/run; }
test_a_folder_that_cannot_be_made_is_refused() {
    touch "$scratch/file"
    DATA=$scratch/file/data fails_with "can't write there" etc/dev/run
}
test_a_refusal_is_one_line() {
    output=$(PORT=80 etc/dev/run 2>&1) || true
    [ "$(wc -l <<<"$output")" = 1 ]
}

test_starts_answers_and_leaves_nothing() {
    start_run
    healthz
    contains "$(curl -fsS "http://127.0.0.1:$PORT/static/favicon.svg")" '<svg'
    contains "$(cat "$DATA/logs/nginx-access.log")" '"uri":"/healthz","status":"200"'
    two_workers
    grep -qx "runtime_dir = $shared_memory" "$DATA/recto.ini"

    fails_with 'already in use by another make run' etc/dev/run
    DATA=$scratch/other fails_with "PORT=$PORT: in use" etc/dev/run
    healthz

    kill -TERM "$runner"
    ended_with 0
    nothing_runs
}

test_a_second_start_keeps_the_ini_and_data_wins() {
    start_run
    kill -TERM "$runner"
    ended_with 0
    sed -i "s|^data = .*|data = /nowhere|" "$DATA/recto.ini"
    echo '; mine' >>"$DATA/recto.ini"

    start_run
    healthz
    grep -q '^; mine$' "$DATA/recto.ini"
    kill -TERM "$runner"
    ended_with 0
}

test_a_dead_worker_is_replaced() {
    start_run
    first=$(worker)
    kill -KILL "$first"
    replaced() { two_workers && ! pgrep -f -- "recto.fcgi --config $DATA/recto.ini" | grep -qx "$first"; }
    eventually replaced
    healthz
    kill -TERM "$runner"
    ended_with 0
    nothing_runs
}

test_when_nginx_dies_all_stop() {
    start_run
    kill -KILL "$(cat "$DATA/nginx.pid")"
    ended_with 1
    contains "$(cat "$scratch/run.out")" 'nginx stopped by itself'
    eventually nothing_runs
}

test_when_it_is_killed_all_stop() {
    start_run
    kill -KILL "$runner"
    ended_with 137
    eventually nothing_runs
}

test_a_wrong_ini_is_told_and_nothing_starts() {
    mkdir -p "$DATA"
    printf '[server]\nthreads = many\n' >"$DATA/recto.ini"
    fails_with 'recto.ini:2' etc/dev/run
    nothing_runs
    rm -r "$DATA"
}

run_tests
