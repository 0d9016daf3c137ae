#include "throttle/throttle.hpp"

#include <ctime>
#include <stdexcept>
#include <thread>
#include <utility>

#include "throttle/table.hpp"
#include "util/file.hpp"
#include "util/shared_file.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class BootTicks : public TickSource {
public:
    [[nodiscard]] std::uint64_t now() const override {
        timespec time{};
        ::clock_gettime(CLOCK_BOOTTIME, &time);
        return static_cast<std::uint64_t>(time.tv_sec) * 1024 + static_cast<std::uint64_t>(time.tv_nsec) * 1024 / 1'000'000'000;
    }
};

fs::path table_path(const fs::path& folder) { return folder / "throttle"; }

// Robust locks live in it: the kernel would write through the address of one to whatever is mapped there later.
std::span<std::byte> keep_for_ever(SharedFile file) {
    union Kept {
        explicit Kept(SharedFile held) : file(std::move(held)) {}
        ~Kept() {}  // never unmapped
        SharedFile file;
    };
    return Kept(std::move(file)).file.bytes();
}

// Held for as long as it takes to make a table, some milliseconds; a process stopped with it must not stop our start without a word.
FileLock lock_folder(const fs::path& folder) {
    const auto path = folder / "throttle.lock";
    for (const auto end = std::chrono::steady_clock::now() + 5s; std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(5ms))
        if (auto lock = FileLock::attempt(path, FileLock::Mode::exclusive)) return std::move(*lock);
    throw std::runtime_error("throttle: another process has held " + path.string() + " for 5 seconds");
}

bool same_policies(const ThrottleOptions& a, const ThrottleOptions& b) {
    return a.policies == b.policies && a.clients == b.clients && a.users == b.users;
}

struct Attached {
    SharedFile file;
    std::optional<ThrottleOptions> options;  // empty: of another boot, another version or no table at all
};

std::optional<Attached> attach_file(const fs::path& folder) {
    auto file = SharedFile::attach(table_path(folder));
    if (!file) return {};
    auto options = read_description(file->bytes());
    return Attached{std::move(*file), std::move(options)};
}

std::string note_on(const std::optional<Attached>& previous, std::span<const std::string> kept) {
    if (!previous) return "throttle: made a new table";
    if (!previous->options) return "throttle: made a new table, the old one was of another boot or version";
    return "throttle: made a new table for changed policies, counts kept: " + (kept.empty() ? "none" : join(kept, ", "));
}

}  // namespace

const TickSource& boot_ticks() {
    static const BootTicks ticks;
    return ticks;
}

Throttle Throttle::open(const ThrottleOptions& options, const TickSource& ticks) {
    make_private_directory(options.folder);
    const auto use = [&](SharedFile file, std::string note) {
        return Throttle(std::make_unique<Table>(keep_for_ever(std::move(file)), options, ticks, std::move(note)));
    };
    const auto fits = [&](const std::optional<Attached>& found) {
        return found && found->options && same_policies(*found->options, options);
    };

    static_cast<void>(describe(options));  // says what is wrong with them
    if (auto found = attach_file(options.folder); fits(found)) return use(std::move(found->file), "");
    const auto lock = lock_folder(options.folder);
    auto found = attach_file(options.folder);
    if (fits(found)) return use(std::move(found->file), "");

    std::optional<Table> previous;
    if (found && found->options) previous.emplace(keep_for_ever(std::move(found->file)), *found->options, ticks, "");
    std::vector<std::string> kept;
    auto file = SharedFile::create(table_path(options.folder), Layout(options).size, [&](std::span<std::byte> memory) {
        kept = Table::fill(memory, options, previous ? &*previous : nullptr);
    });
    return use(std::move(file), note_on(found, kept));
}

std::optional<Throttle> Throttle::attach(const fs::path& folder, const TickSource& ticks) {
    auto found = attach_file(folder);
    if (!found || !found->options) return {};
    return Throttle(std::make_unique<Table>(keep_for_ever(std::move(found->file)), *found->options, ticks, ""));
}

Throttle::Throttle(std::unique_ptr<Table> table) : table_(std::move(table)) {}
Throttle::Throttle(Throttle&&) noexcept = default;
Throttle& Throttle::operator=(Throttle&&) noexcept = default;
Throttle::~Throttle() = default;

const std::string& Throttle::note() const { return table_->note(); }
std::optional<Throttle::Scope> Throttle::find(std::string_view scope) const { return table_->find(scope); }
Throttle::Verdict Throttle::check(std::span<const Scope> scopes, const Client& client) { return table_->check(scopes, client); }
std::vector<Throttle::Usage> Throttle::usage(const Client& client) const { return table_->usage(client); }
std::vector<Throttle::Record> Throttle::fullest(std::size_t count) const { return table_->fullest(count); }
void Throttle::reset(const Client& client) { table_->reset(client); }
void Throttle::reset(Scope scope) { table_->reset(scope); }
Throttle::Counters Throttle::counters() const { return table_->counters(); }

}  // namespace recto
