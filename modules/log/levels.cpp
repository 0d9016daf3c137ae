#include "log/levels.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <stdexcept>

#include "util/file.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x314C'564C'4754'4352;  // RCTGLVL1, little-endian

fs::path file_in(const fs::path& runtime_dir) { return runtime_dir / "log.levels"; }

bool has_magic(const SharedFile& file, std::size_t size) {
    std::uint64_t magic = 0;
    if (file.bytes().size() == size) std::memcpy(&magic, file.bytes().data(), sizeof magic);
    return magic == kMagic;
}

}  // namespace

LogLevels::LogLevels(fs::path lock, SharedFile file)
    : lock_(std::move(lock)), file_(std::move(file)), table_(reinterpret_cast<Table*>(file_.bytes().data())) {}

LogLevels LogLevels::open(const fs::path& runtime_dir) {
    make_private_directory(runtime_dir);
    const auto path = file_in(runtime_dir);
    auto lock_path = runtime_dir / "log.levels.lock";
    const auto lock = FileLock::wait(lock_path, FileLock::Mode::exclusive);
    auto file = SharedFile::attach(path);
    if (!file || !has_magic(*file, sizeof(Table)))
        file =
            SharedFile::create(path, sizeof(Table), [](std::span<std::byte> bytes) { std::memcpy(bytes.data(), &kMagic, sizeof kMagic); });
    return {std::move(lock_path), *std::move(file)};
}

std::map<std::string, Level> LogLevels::changed_in(const fs::path& runtime_dir) {
    return fs::exists(file_in(runtime_dir)) ? open(runtime_dir).all() : std::map<std::string, Level>();
}

void LogLevels::set(std::string_view logger, std::optional<Level> level) {
    if (logger.size() > kMaxName) throw std::runtime_error("a logger's name has at most " + std::to_string(kMaxName) + " bytes");
    const auto lock = FileLock::wait(lock_, FileLock::Mode::exclusive);
    const auto is_it = [&](const Entry& entry) { return entry.level != 0 && logger == entry.logger; };
    const std::span entries(table_->entries);
    auto found = std::ranges::find_if(entries, is_it);
    if (found == entries.end() && level) found = std::ranges::find(entries, 0, &Entry::level);
    if (found == entries.end() && level) throw std::runtime_error("the levels of 64 loggers are changed already");
    if (found == entries.end()) return;

    *found = {};
    if (level) {
        std::ranges::copy(logger, found->logger);
        found->level = static_cast<std::uint8_t>(static_cast<int>(*level) + 1);
    }
    ++table_->generation;
}

std::map<std::string, Level> LogLevels::all() const {
    const auto lock = FileLock::wait(lock_, FileLock::Mode::shared);
    std::map<std::string, Level> levels;
    for (const auto& entry : table_->entries)
        if (entry.level != 0) levels.emplace(entry.logger, static_cast<Level>(entry.level - 1));
    return levels;
}

}  // namespace recto
