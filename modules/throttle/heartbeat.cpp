#include "throttle/heartbeat.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <ctime>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "util/crypto.hpp"
#include "util/file.hpp"
#include "util/shared_file.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kInterval = 20ms;
constexpr auto kStopped = 200ms;
constexpr int kBeatsPerLook = 50;  // at the file's name
constexpr std::size_t kSlots = 512;
constexpr std::uint64_t kSlotMask = 0xFFFF;
static_assert(kSlots <= kSlotMask);

// Of a file of zeros all slots are free, so a process may be killed while it makes the file. Slot 0 is never claimed.
struct BeatsFile {
    struct alignas(64) Slot {
        std::atomic<std::uint64_t> beat;  // nanoseconds
    };
    std::atomic<std::uint64_t> id;  // random; its lower 16 bits are 0
    std::array<Slot, kSlots> slots;
};

// CLOCK_MONOTONIC doesn't count a suspended machine. The time namespace is the same for all: see boot_identity() in layout.cpp.
std::uint64_t now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

// A thread starts with the mask of the one that makes it.
class SignalsBlockedInNewThreads {
public:
    SignalsBlockedInNewThreads() {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlockedInNewThreads() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlockedInNewThreads(const SignalsBlockedInNewThreads&) = delete;
    SignalsBlockedInNewThreads& operator=(const SignalsBlockedInNewThreads&) = delete;

private:
    sigset_t before_{};
};

// ThreadSanitizer takes the address of a thread's stack for its name, and in a forked child glibc gives the parent's stacks out again. A
// larger stack is a new one. With TSAN_OPTIONS=die_after_fork=0.
void avoid_stacks_of_parent() {
#ifdef __SANITIZE_THREAD__
    pthread_attr_t attributes;
    std::size_t size = 0;
    ::pthread_getattr_default_np(&attributes);
    ::pthread_attr_getstacksize(&attributes, &size);
    ::pthread_attr_setstacksize(&attributes, size + (1U << 20));
    ::pthread_setattr_default_np(&attributes);
    ::pthread_attr_destroy(&attributes);
#endif
}

UniqueFd open_beats(const fs::path& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) throw io_error("cannot open", path);
    return fd;
}

// Our slot in one file; the lock of its byte belongs to the open file (F_OFD_SETLK), so closing another descriptor doesn't end it.
class Membership {
public:
    explicit Membership(const fs::path& path)
        : file_(SharedFile::of_zeros(open_beats(path), sizeof(BeatsFile), path)),
          beats_(*reinterpret_cast<BeatsFile*>(file_.bytes().data())),
          id_(agreed_id()),
          slot_(claim()) {}

    void beat(std::uint64_t time) {
        if (slot_ != 0) beats_.slots[slot_].beat.store(time, std::memory_order_relaxed);
    }
    [[nodiscard]] Heartbeat::Name name() const { return slot_ == 0 ? 0 : id_ | slot_; }
    [[nodiscard]] std::optional<std::uint64_t> beat_of(Heartbeat::Name name) const {
        const auto slot = name & kSlotMask;
        if (slot == 0 || slot >= kSlots || (name & ~kSlotMask) != id_) return {};
        return beats_.slots[slot].beat.load(std::memory_order_relaxed);
    }
    [[nodiscard]] bool is_still(const fs::path& path) const { return file_.is_still(path); }

private:
    // That of the first process there.
    [[nodiscard]] std::uint64_t agreed_id() const {
        std::uint64_t none = 0;
        const auto own = (random_number() | (kSlotMask + 1)) & ~kSlotMask;
        return beats_.id.compare_exchange_strong(none, own) ? own : none;
    }

    // The beat is there before the name is used.
    [[nodiscard]] std::size_t claim() const {
        for (std::size_t slot = 1; slot < kSlots; ++slot) {
            struct flock lock {};
            lock.l_type = F_WRLCK;
            lock.l_whence = SEEK_SET;
            lock.l_start = static_cast<off_t>(slot);
            lock.l_len = 1;
            if (::fcntl(file_.fd(), F_OFD_SETLK, &lock) != 0) continue;
            beats_.slots[slot].beat.store(now(), std::memory_order_relaxed);
            return slot;
        }
        return 0;
    }

    SharedFile file_;
    BeatsFile& beats_;
    std::uint64_t id_;
    std::size_t slot_;
};

}  // namespace

class Heartbeat::Thread {
public:
    explicit Thread(const fs::path& folder) : path_(folder / "beats-1"), process_(::getpid()) {
        join();
        const SignalsBlockedInNewThreads blocked;
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }
    [[nodiscard]] bool is_of_this_process() const { return process_ == ::getpid(); }
    [[nodiscard]] const Membership& membership() const { return *current_.load(std::memory_order_acquire); }
    [[nodiscard]] std::uint64_t own_beat() const { return own_beat_.load(std::memory_order_relaxed); }

private:
    void run(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        for (int beats = 1; !stop.stop_requested(); ++beats) {
            beat();
            if (beats % kBeatsPerLook == 0 && !membership().is_still(path_)) join_again();
            woken_.wait_for(lock, stop, kInterval, [] { return false; });
        }
    }

    void beat() {
        const auto time = now();
        current_.load(std::memory_order_relaxed)->beat(time);
        own_beat_.store(time, std::memory_order_relaxed);
    }

    // Other threads may still read the one before.
    void join() {
        memberships_.push_back(std::make_unique<Membership>(path_));
        current_.store(memberships_.back().get(), std::memory_order_release);
        beat();
    }

    void join_again() {
        try {
            join();
        } catch (const std::exception&) {
            // The folder is gone, too: in a second it may be there again.
        }
    }

    const fs::path path_;
    const pid_t process_;
    std::vector<std::unique_ptr<Membership>> memberships_;
    std::atomic<Membership*> current_ = nullptr;
    std::atomic<std::uint64_t> own_beat_ = 0;
    std::mutex mutex_;
    std::condition_variable_any woken_;
    std::jthread thread_;
};

// One thread a process, however many tables and gates it opens.
std::shared_ptr<const Heartbeat> Heartbeat::of(const fs::path& folder) {
    static std::mutex mutex;
    static std::map<fs::path, std::weak_ptr<const Heartbeat>> of_folders;
    const std::lock_guard lock(mutex);
    auto& known = of_folders[folder];
    auto heartbeat = known.lock();
    if (heartbeat && heartbeat->thread_->is_of_this_process()) return heartbeat;
    if (heartbeat) avoid_stacks_of_parent();
    heartbeat.reset(new Heartbeat(folder));
    known = heartbeat;
    return heartbeat;
}

Heartbeat::Heartbeat(const fs::path& folder) : thread_(std::make_unique<Thread>(folder)) {}

// In a forked child there is no such thread to wait for, and a condition on which one waits can't be destroyed.
Heartbeat::~Heartbeat() {
    if (!thread_->is_of_this_process()) static_cast<void>(thread_.release());
}

Heartbeat::Name Heartbeat::name() const { return thread_->membership().name(); }

bool Heartbeat::is_stopped(Name holder) const {
    const auto beat = thread_->membership().beat_of(holder);
    const auto own = thread_->own_beat();
    return beat && own > *beat && own - *beat > static_cast<std::uint64_t>(std::chrono::nanoseconds(kStopped).count());
}

}  // namespace recto
