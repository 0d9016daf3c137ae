#!/bin/bash
# The rules of the folders hold, and the script that says so can say no.
source "$(dirname "$0")/../support/shell_test.sh"

# complains_of FILE LINE PATTERN: a tree with this one include must be found wrong.
complains_of() {
    local tree=$scratch/$RANDOM$RANDOM
    mkdir -p "$tree/modules" "$tree/fcgi" "$(dirname "$tree/$1")"
    echo "$2" >"$tree/$1"
    fails_with "$3" etc/dev/folders "$tree"
}
accepts() {
    local tree=$scratch/$RANDOM$RANDOM
    mkdir -p "$tree/modules" "$tree/fcgi" "$(dirname "$tree/$1")"
    echo "$2" >"$tree/$1"
    etc/dev/folders "$tree"
}

test_our_folders_keep_the_rules() { etc/dev/folders; }

test_layers() {
    complains_of modules/cache/a.cpp '#include "blog/blog.hpp"'      'cache stands left of blog'
    complains_of modules/auth/a.cpp  '#include "blog/blog.hpp"'      'auth stands left of blog, or beside it'
    complains_of modules/blog/a.hpp  '  #  include "site/site.hpp"'  'blog stands left of site'
    complains_of modules/site/a.cpp  '#include "fcgi/server.hpp"'    'site stands left of fcgi'
    complains_of modules/command/a.cpp '#include "fcgi/server.hpp"'  'command stands left of fcgi, or beside it'
    complains_of modules/cache/a.cpp '#include "cahce/cache.hpp"'    'no folder of ours'
    complains_of modules/novel/a.cpp '#include "util/text.hpp"'      'the folder novel has no layer'
    accepts modules/store/a.cpp '#include "clock/change_source.hpp"'
    accepts modules/store/a.cpp '#include "store/store.hpp"'
    accepts fcgi/main.cpp '#include "site/site.hpp"'
}

test_one_library_one_folder() {
    complains_of modules/blog/a.cpp '#include <sqlite3.h>'                    'only modules/store/ may'
    complains_of fcgi/api.cpp '#include <fcgiapp.h>'                          'only nowhere may'
    complains_of modules/clock/a.cpp '#include <boost/log/core.hpp>'          'only modules/log/ may'
    complains_of modules/site/a.cpp '#include <libmemcached/memcached.h>'     'only modules/cache/ may'
    complains_of modules/config/config.hpp '#include <ini.h>'                 'not in the header that others include'
    accepts modules/store/connection.hpp '#include <sqlite3.h>'
    accepts modules/config/config.cpp '#include <ini.h>'
    accepts modules/blog/a.cpp '#include <boost/uuid/uuid.hpp>'
}

test_scripts_parse() {
    for script in $(grep -rlE '^#!/bin/(ba)?sh$' .ci etc tests); do bash -n "$script"; [ -x "$script" ]; done
}

run_tests
