// cached.hpp - a function whose results are cached by its arguments.
//
//     auto by_author = cached<std::string(std::int64_t)>(cache, "blogs_by_author", 10min, [&](std::int64_t author) { … });
//     by_author(12);               // computed, then from the cache until something it read has changed
//     by_author.invalidate(12);    // this result
//     by_author.invalidate();      // all of them
//
// What the function reads from the store invalidates its results by itself; cached_as adds tags for what the store can't see.
// Cached functions may call each other. An empty std::optional is not stored.
//
// Errors:   those of the function; the cache adds none. invalidate() is a write: DatabaseError.
// Threads:  safe to call from any thread if the function is.
// Limits:   arguments and results are integers, booleans, strings, std::optional of those, or what Boost.JSON converts.
#pragma once
