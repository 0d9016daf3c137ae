// result.hpp - a value, or one sentence saying what was wrong with what we were given.
//
// For input that may be wrong: a query parameter, an option, a file's front matter. Absence that is normal is std::optional; a
// machine that failed is an exception.
//
// Threads:  a plain value.
// Source:   the shape of std::expected (C++23), which libstdc++ 12 doesn't have.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace recto {

struct Error {
    std::string message;
};

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return state_.index() == 0; }

    // Calling one of these on the other kind of result is a bug of the caller.
    T& value() & { return checked(); }
    const T& value() const& { return const_cast<Result*>(this)->checked(); }
    T&& value() && { return std::move(checked()); }
    T& operator*() & { return checked(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(checked()); }
    T* operator->() { return &checked(); }
    const T* operator->() const { return &value(); }

    const std::string& error() const {
        assert(state_.index() == 1);
        return std::get<1>(state_).message;
    }

private:
    T& checked() {
        assert(state_.index() == 0);
        return std::get<0>(state_);
    }

    std::variant<T, Error> state_;
};

}  // namespace recto
