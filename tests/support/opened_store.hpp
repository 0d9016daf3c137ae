// opened_store.hpp - a migrated database in a temporary folder, with a cache that has no memcached.
#pragma once

#include <filesystem>

#include "cache/cache.hpp"
#include "store/store.hpp"
#include "tests/support/temporary_folder.hpp"

namespace recto {

struct OpenedStore {
    TemporaryFolder folder;
    StoreOptions options{.file = folder / "recto.db", .runtime_dir = folder / "run"};
    Store store = migrated();
    Cache cache{CacheOptions{.servers = {"unix:" + (folder / "nobody.sock").string()}, .runtime_dir = folder / "run", .build = "test"},
                store};

private:
    Store migrated() {
        migrate(options);
        return Store::open(options);
    }
};

}  // namespace recto
