#!/bin/bash
# etc/dev/packages on machines that are not this one: dpkg-query, apt-get and sudo are played by scripts; nothing is installed.
source "$(dirname "$0")/../support/shell_test.sh"

bin=$scratch/bin
installed=$scratch/installed  # names, one a line
called=$scratch/called        # what was asked of apt-get
mkdir -p "$bin"
export installed called

actor() { cat >"$bin/$1" && chmod +x "$bin/$1"; }
actor dpkg-query <<'END'
#!/bin/sh
shift 3
for name; do if grep -qx "$name" "$installed"; then echo "ii  $name"; fi; done
END
actor apt-cache <<'END'
#!/bin/sh
[ -e "$called.lists" ] && echo '  Candidate: 1.0' || echo '  Candidate: (none)'
END
actor apt-get <<'END'
#!/bin/bash
echo "$*" >>"$called"
case " $* " in
*' update '*) touch "$called.lists" ;;
*' install '*)
    [ ! -e "$called.fails" ] || { rm "$called.fails"; exit 100; }
    for word in "${@:8}"; do echo "$word" >>"$installed"; done ;;
esac
END
actor id   <<<$'#!/bin/sh\necho "${uid:-0}"'
actor sudo <<<$'#!/bin/sh\n[ "${sudo_asks:-no}" = no ] || exit 1\nshift; exec "$@"'

packages() { PATH=$bin:$PATH etc/dev/packages "$@"; }
begin()    { : >"$called"; printf '%s\n' "$@" >"$installed"; rm -f "$called".*; }
all_of()   { awk '/^[^#]/ { print $2 }' etc/packages.txt; }

test_nothing_missing_asks_apt_nothing() {
    begin $(all_of)
    packages build run test bench fuzz lint dev
    [ ! -s "$called" ]
}
test_only_what_is_missing_is_installed() {
    begin $(all_of | grep -vx -e wrk -e clang-tidy-16)
    touch "$called.lists"
    packages build run bench
    [ "$(cat "$called")" = "-q -y -o DPkg::Lock::Timeout=600 --no-install-recommends --no-remove install wrk" ]
}
test_lists_that_know_a_package_are_not_fetched_again() {
    begin $(all_of | grep -vx wrk)
    packages bench
    [ "$(grep -c ' update$' "$called")" = 1 ]
    begin $(all_of | grep -vx wrk)
    touch "$called.lists"
    packages bench
    [ "$(grep -c ' update$' "$called")" = 0 ]
}
test_a_stale_list_is_fetched_once_and_tried_again() {
    begin $(all_of | grep -vx wrk)
    touch "$called.lists" "$called.fails"
    packages bench
    [ "$(grep -c install "$called")" = 2 ]
    [ "$(grep -c ' update$' "$called")" = 1 ]
}
test_sudo_that_asks_nothing_is_used() {
    begin $(all_of | grep -vx wrk)
    uid=1000 packages bench
    grep -qx wrk "$installed"
}
test_without_root_the_command_is_printed() {
    begin $(all_of | grep -vx -e wrk -e curl)
    uid=1000 sudo_asks=yes fails_with '^sudo apt-get update && sudo apt-get install --no-install-recommends curl wrk$' packages bench
    [ ! -s "$called" ]
}
test_an_unknown_group_is_named() { fails_with "no group 'benhc'" packages benhc; }
test_the_other_boost_is_explained() {
    begin $(all_of | grep -vx libboost-log1.81-dev) libboost1.74-dev
    touch "$called.lists" "$called.fails"
    cp "$bin/apt-get" "$bin/apt-get.kept"
    printf '#!/bin/sh\nexit 100\n' >"$bin/apt-get"
    fails_with 'apt-get remove libboost1.74-dev' packages build
    mv "$bin/apt-get.kept" "$bin/apt-get"
}
test_each_line_has_a_group_a_package_and_a_reason() {
    wrong=$(awk '/^[^#]/ && (NF < 3 || $1 !~ /^(build|run|test|bench|fuzz|lint|boot|dev)$/)' etc/packages.txt)
    [ -z "$wrong" ] || { echo "$wrong"; return 1; }
}

run_tests
