#include "throttle/gate.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>

#include <fcntl.h>

#include "throttle/robust_mutex.hpp"
#include "util/file.hpp"
#include "util/shared_file.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x3245'5441'4754'4352;  // RCTGATE2, little-endian
constexpr std::size_t kDoors = 64;
constexpr std::size_t kProcesses = 256;

struct Name {
    std::array<char, 48> text{};

    [[nodiscard]] std::string_view view() const { return {text.data(), ::strnlen(text.data(), text.size())}; }
};

using Line = std::array<std::uint32_t, kDoors>;

struct Layout {
    std::uint64_t magic = kMagic;
    RobustMutex mutex;
    std::array<Name, kDoors> names;
    std::array<Line, kProcesses> lines{};
};

// A death inside leaves nothing half done: who enters is counted with one store.
class Held {
public:
    Held(RobustMutex& mutex, const Heartbeat& own) : mutex_(mutex), locked_(mutex.lock(own)) {}
    ~Held() {
        if (*this) mutex_.unlock();
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    explicit operator bool() const { return locked_ == RobustMutex::Locked::yes || locked_ == RobustMutex::Locked::recovered; }
    void require(const fs::path& file) const {
        if (!*this) throw std::runtime_error(std::string("gate: ") + reason_of(locked_) + " the lock of " + file.string());
    }

private:
    RobustMutex& mutex_;
    RobustMutex::Locked locked_;
};

fs::path gate_path(const fs::path& folder) { return folder / "gate"; }

SharedFile attach_or_create(const fs::path& folder) {
    const auto lock = FileLock::wait(folder / "gate.lock", FileLock::Mode::exclusive);
    auto file = SharedFile::attach(gate_path(folder));
    std::uint64_t magic = 0;
    if (file && file->bytes().size() == sizeof(Layout)) std::memcpy(&magic, file->bytes().data(), sizeof magic);
    if (magic == kMagic) return *std::move(file);
    remove_half_made(gate_path(folder));
    return SharedFile::create(gate_path(folder), sizeof(Layout), [](std::span<std::byte> bytes) { new (bytes.data()) Layout; });
}

// One byte of the lock file for each line.
struct flock line_lock(std::size_t line, short type) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(line);
    lock.l_len = 1;
    return lock;
}

}  // namespace

class Gate::Memory {
public:
    explicit Memory(const fs::path& folder)
        : path_(gate_path(folder)),
          heartbeat_(Heartbeat::of(folder)),
          layout_(*std::launder(reinterpret_cast<Layout*>(keep_mapped(attach_or_create(folder)).data()))),
          claims_(::open((folder / "gate.lines").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {
        if (!claims_) throw io_error("cannot open", folder / "gate.lines");
        const Held held(layout_.mutex, *heartbeat_);
        held.require(path_);
        line_ = claim();
        layout_.lines[line_] = {};
    }

    Door door(std::string_view name) {
        const Held held(layout_.mutex, *heartbeat_);
        held.require(path_);
        const auto is_it = [&](const Name& one) { return one.view() == name || one.view().empty(); };
        const auto found = std::ranges::find_if(layout_.names, is_it);
        if (found == layout_.names.end() || name.size() >= sizeof(Name)) throw std::runtime_error("gate: no door for " + std::string(name));
        std::ranges::copy(name, found->text.begin());
        return static_cast<Door>(found - layout_.names.begin());
    }

    std::optional<Pass> enter(Door door, std::uint32_t limit) {
        const Held held(layout_.mutex, *heartbeat_);
        if (!held) return {};
        if (inside(door) >= limit) forget_the_dead();
        if (inside(door) >= limit) return {};
        auto& own = layout_.lines[line_][door];
        std::atomic_ref(own).fetch_add(1);
        return Pass(own);
    }

private:
    std::size_t claim() {
        for (std::size_t line = 0; line < kProcesses; ++line) {
            auto lock = line_lock(line, F_WRLCK);
            if (::fcntl(claims_.get(), F_OFD_SETLK, &lock) == 0) return line;
        }
        throw std::runtime_error("gate: " + std::to_string(kProcesses) + " processes use it already");
    }

    std::uint32_t inside(Door door) {
        std::uint32_t sum = 0;
        for (auto& line : layout_.lines) sum += std::atomic_ref(line[door]).load();
        return sum;
    }

    // Who claims a line does so under the mutex, which we hold.
    void forget_the_dead() {
        for (std::size_t line = 0; line < kProcesses; ++line)
            if (line != line_ && is_anybody_in(layout_.lines[line]) && !has_owner(line)) layout_.lines[line] = {};
    }

    static bool is_anybody_in(Line& line) {
        return std::ranges::any_of(line, [](auto& count) { return std::atomic_ref(count).load() != 0; });
    }

    [[nodiscard]] bool has_owner(std::size_t line) const {
        auto lock = line_lock(line, F_WRLCK);
        return ::fcntl(claims_.get(), F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
    }

    const fs::path path_;
    const std::shared_ptr<const Heartbeat> heartbeat_;
    Layout& layout_;
    UniqueFd claims_;
    std::size_t line_ = 0;
};

Gate::Pass::~Pass() {
    if (inside_ != nullptr) std::atomic_ref(*inside_).fetch_sub(1);
}

Gate::Gate(std::unique_ptr<Memory> memory) : memory_(std::move(memory)) {}
Gate::Gate(Gate&&) noexcept = default;
Gate::~Gate() = default;

Gate Gate::open(const fs::path& folder) {
    make_private_directory(folder);
    return Gate(std::make_unique<Memory>(folder));
}

Gate::Door Gate::door(std::string_view name) { return memory_->door(name); }
std::optional<Gate::Pass> Gate::enter(Door door, std::uint32_t limit) { return memory_->enter(door, limit); }

}  // namespace recto
