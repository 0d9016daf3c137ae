// site.hpp - opens the database and the cache a configuration names and holds what works on them: what the workers and the operator's
// program share. The throttle is not here: workers open its table, the operator's program only looks into the one in use.
//
// Errors:   the constructor throws std::runtime_error naming what couldn't be opened.
// Threads:  immutable after construction; what it holds is safe to call from any thread.
#pragma once

#include <memory>
#include <vector>

#include "auth/auth.hpp"
#include "blog/blog.hpp"
#include "cache/cache.hpp"
#include "config/config.hpp"
#include "log/log.hpp"
#include "site/models.hpp"
#include "site/views.hpp"
#include "store/store.hpp"
#include "throttle/exempt.hpp"
#include "throttle/throttle.hpp"

namespace recto {

[[nodiscard]] LogOptions log_options(const Config& config);
[[nodiscard]] StoreOptions store_options(const Config& config);
[[nodiscard]] CacheOptions cache_options(const Config& config);
[[nodiscard]] ThrottleOptions throttle_options(const Config& config);

struct Site {
    explicit Site(Config configuration);

    const Config config;
    Store store;
    Cache cache;
    const ModelRules rules;
    Auth auth;
    Blog blog;
};

// Makes the database if there is none, and applies the migrations that are missing, with a copy of what it was beside it (store.hpp). Makes
// the folders that it and the shared memory need. Throws std::runtime_error naming the file: it is damaged, newer, or not ours.
std::vector<Migration> bring_up_database(const Config& config);

// [throttle] exempt_networks and exempt_users, as they are now. A name that no user has is logged.
[[nodiscard]] Exempt exempt_of(Site& site);

}  // namespace recto
