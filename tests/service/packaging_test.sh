#!/bin/bash
# `make install`: the files, the units, the users and the nginx site, checked by the programs that will read them.
source "$(dirname "$0")/../support/shell_test.sh"

root=$scratch/root        # DESTDIR
prefix=$scratch/prefix    # a PREFIX that exists, so that systemd finds the programs of the units
units=$prefix/lib/systemd/system
names='recto.socket recto@.service recto.target recto-memcached.service'

install_to() { DESTDIR=$1 PREFIX=$2 etc/dev/install; }
# Twice: as a package would be made, and with programs where the units look for them.
make_tree() {
    [ -d "$root" ] || install_to "$root" /usr/local
    [ -d "$prefix" ] || { install_to "$scratch/stage" "$prefix" && mv "$scratch/stage$prefix" "$prefix"; }
}

test_every_file_is_in_its_place() {
    make_tree
    for path in bin/recto lib/recto/recto.fcgi lib/sysusers.d/recto.conf share/doc/recto/README.md \
        share/doc/recto/etc/doc/{caching,logging,throttling}.md share/recto/www/static/favicon.svg \
        share/recto/nginx/fastcgi.conf $(printf 'lib/systemd/system/%s ' $names); do
        [ -s "$root/usr/local/$path" ] || { echo "absent: $path"; return 1; }
    done
    [ -s "$root/etc/recto/recto.ini" ]
    [ -s "$root/etc/nginx/sites-available/recto" ]
    [ -x "$root/usr/local/bin/recto" ]
    [ "$(stat -c %a "$root/usr/local/lib/recto/recto.fcgi")" = 755 ]
}

test_nothing_is_left_to_fill_in() {
    make_tree
    no grep -rnE '@[A-Z]+@' "$root/etc" "$root/usr/local/lib/systemd" "$root/usr/local/share/recto"
    no grep -rn -F "$scratch" "$root"
}

# What install is to say about a file of the operator's, and what it does: without DESTDIR, in an /etc that is only there for it.
install_here() {
    unshare -m sh -euc 'mkdir "$1"; cp /etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/nsswitch.conf "$1"
        mount --bind "$1" /etc; DESTDIR="" PREFIX="$2" etc/dev/install; stat -c "is %a %U:%G" /etc/recto/recto.ini' - "$scratch/etc" "$prefix"
}
test_only_the_workers_read_the_configuration() {
    said=$(install_to "$scratch/fresh" /usr/local)
    [ "$(stat -c %a "$scratch/fresh/etc/recto/recto.ini")" = 640 ]
    contains "$said" '/etc/recto/recto.ini is for root alone (0640) until: .*chown root:recto /etc/recto/recto.ini$'
    chmod 0644 "$scratch/fresh/etc/recto/recto.ini"
    contains "$(install_to "$scratch/fresh" /usr/local)" '/etc/recto/recto.ini can be read by everybody: chown root:recto'
    [ "$(stat -c %a "$scratch/fresh/etc/recto/recto.ini")" = 644 ]
    chmod 0640 "$scratch/fresh/etc/recto/recto.ini"
    no grep everybody <<<"$(install_to "$scratch/fresh" /usr/local)"
}
test_root_gives_the_configuration_to_the_workers_group() {
    unshare -m true 2>/dev/null || skip 'needs a mount namespace, so root'
    make_tree
    said=$(install_here)
    contains "$said" '/etc/recto/recto.ini is for root and the group recto alone (0640)'
    contains "$said" '^is 640 root:recto$'
}

test_what_the_operator_changed_stays() {
    make_tree
    echo '; mine' >>"$root/etc/recto/recto.ini"
    echo '# mine' >>"$root/etc/nginx/sites-available/recto"
    rm "$root/usr/local/bin/recto"
    contains "$(install_to "$root" /usr/local)" '/etc/recto/recto.ini is there already'
    grep -qx '; mine' "$root/etc/recto/recto.ini"
    grep -qx '# mine' "$root/etc/nginx/sites-available/recto"
    [ -x "$root/usr/local/bin/recto" ]
}

# Instances don't exist as files; systemd is given a copy of the template under an instance's name.
test_systemd_finds_no_mistake_in_the_units() {
    make_tree
    verify=$scratch/verify
    mkdir -p "$verify"
    cp "$units"/* "$verify"
    cp "$units/recto@.service" "$verify/recto@1.service"
    cp "$units/recto@.service" "$verify/recto@2.service"
    said=$(SYSTEMD_UNIT_PATH=$verify: systemd-analyze verify --man=no "$verify"/recto@1.service "$verify"/recto.socket \
        "$verify"/recto.target "$verify"/recto-memcached.service 2>&1) || { echo "$said"; return 1; }
    no grep recto <<<"$said"
}

test_verify_would_notice_a_mistake() {
    make_tree
    wrong=$scratch/wrong
    mkdir -p "$wrong"
    sed 's/^Type=notify$/Type=notify-reload/' "$units/recto@.service" >"$wrong/recto@1.service"
    cp "$units/recto.socket" "$units/recto-memcached.service" "$wrong"
    contains "$(SYSTEMD_UNIT_PATH=$wrong: systemd-analyze verify --man=no "$wrong/recto@1.service" 2>&1)" 'notify-reload'
}

# Exposure in tenths: a plain unit has 96, a service behind User= alone 92.
exposure_at_most() { systemd-analyze security --offline=true --no-pager --threshold="$1" "$2"; }
test_the_units_are_closed() {
    make_tree
    exposure_at_most 3 "$units/recto@.service"
    exposure_at_most 3 "$units/recto-memcached.service"
}
test_the_threshold_would_notice_an_open_unit() {
    make_tree
    sed '/^NoNewPrivileges/d; /^SystemCallFilter/d; /^PrivateNetwork/d' "$units/recto@.service" >"$scratch/open@.service"
    no exposure_at_most 3 "$scratch/open@.service"
    sed '/^PrivateUsers/d; /^ProtectProc/d' "$units/recto@.service" >"$scratch/open@.service"
    no exposure_at_most 3 "$scratch/open@.service"
}

# `has UNIT SECTION LINE`: systemd ignores a setting in the wrong section with a warning at most. What they do is proven by `make boot-test`.
has() { sed -n "/^\[$2\]/,/^\[/p" "$units/$1" | grep -qxF -- "$3" || { echo "$1, [$2]: no $3"; return 1; }; }
test_a_stop_stops_and_nothing_that_dies_often_stays_dead() {
    make_tree
    has recto.socket Unit StopPropagatedFrom=recto.target
    has recto.socket Socket TriggerLimitBurst=0
    for unit in recto.socket recto@.service recto-memcached.service; do has "$unit" Unit StartLimitIntervalSec=0; done
    for unit in recto@.service recto-memcached.service; do has "$unit" Service Restart=always; done
    has recto@.service Unit PartOf=recto.target
    has recto@.service Service Type=notify
    has recto@.service Service Sockets=recto.socket
    has recto@.service Service RestartPreventExitStatus=78
    no grep -q '^ExecStartPre=' "$units/recto@.service"  # the worker checks and migrates
}

test_the_units_and_the_ini_agree() {
    make_tree
    socket=$(sed -n 's/^ListenStream=//p' "$units/recto.socket")
    memcached=$(sed -n 's/.* -s \([^ ]*\) .*/\1/p' "$units/recto-memcached.service")
    ini=$root/etc/recto/recto.ini
    contains "$(cat "$ini")" "^socket = $socket\$"
    contains "$(cat "$ini")" "^servers = unix:$memcached\$"
    contains "$(cat "$ini")" '^runtime_dir = /run/recto$'
    contains "$(cat "$ini")" '^data = /var/lib/recto$'
    contains "$(cat "$ini")" '^file = /var/log/recto/recto.log$'
    contains "$(cat "$prefix/share/recto/nginx/upstreams.conf")" "server unix:$socket "
}

test_the_users_can_be_made() {
    made=$scratch/users
    mkdir -p "$made/etc"
    systemd-sysusers --root="$made" "$PWD/etc/sysusers.d/recto.conf"
    contains "$(cat "$made/etc/passwd")" '^recto:.*:/var/lib/recto:'
    contains "$(cat "$made/etc/passwd")" '^recto-memcached:'
}

# The site inside a configuration like Debian's; on a port that anyone may use, with logs where anyone may write.
test_nginx_takes_the_site() {
    make_tree
    site=$scratch/site.conf
    sed -e "s|listen 80|listen $(free_port)|; s|listen \[::\]:80|listen [::1]:$(free_port)|; s|/var/log/nginx|$scratch|" \
        "$scratch/stage/etc/nginx/sites-available/recto" >"$site"
    [ "$(grep -c "$scratch" "$site")" -ge 3 ]
    cat >"$scratch/nginx.conf" <<END
pid $scratch/nginx.pid;
error_log $scratch/error.log;
events { worker_connections 4096; }
http {
    client_body_temp_path $scratch/t1; fastcgi_temp_path $scratch/t2; proxy_temp_path $scratch/t3;
    scgi_temp_path $scratch/t4; uwsgi_temp_path $scratch/t5;
    include $site;
}
END
    said=$(nginx -t -e "$scratch/error.log" -c "$scratch/nginx.conf" 2>&1) || { echo "$said"; return 1; }
    no grep -F '[warn]' <<<"$said"
}

run_tests
