// context.hpp - which request the current thread works on.
//
// The context travels with the request from thread to thread; a ContextScope makes it current where it is worked on, so that a line of
// the log can name it. Nothing of it is ever left behind on a thread.
//
// Threads:  one RequestContext is used by one thread at a time; current_context() is the calling thread's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace recto {

struct RequestContext {
    std::string txid;     // the transaction id: nginx's request id or a fresh UUID, never the client's own header
    std::string address;  // REMOTE_ADDR, or "local" on the command line
    std::optional<std::int64_t> user_id;
};

// Null outside of a request.
[[nodiscard]] const RequestContext* current_context();

class ContextScope {
public:
    explicit ContextScope(const RequestContext& context);  // must outlive the scope
    ~ContextScope();
    ContextScope(const ContextScope&) = delete;
    ContextScope& operator=(const ContextScope&) = delete;

private:
    const RequestContext* previous_;
};

}  // namespace recto
