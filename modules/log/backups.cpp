#include "log/backups.hpp"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

#include "log/files.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Half a second, as tries: a machine that stood still as a whole, its holder too, has used up one of them.
constexpr int kLockTries = 1000;
constexpr auto kLockPause = 500us;

bool is_there(const fs::path& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

void rename_if_there(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) throw io_error("cannot rename", from);
}

void remove_if_there(const fs::path& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw io_error("cannot remove", path);
}

bool is_taken(const fs::path& file, int number) {
    const auto plain = backup_path(file, number);
    return is_there(plain) || is_there(compressed(plain));
}

void remove(const fs::path& file, int number) {
    const auto plain = backup_path(file, number);
    remove_if_there(plain);
    remove_if_there(compressed(plain));
}

// One name at most moves, so that the two forms never part.
void move_up(const fs::path& file, int number) {
    const auto from = backup_path(file, number);
    const auto to = backup_path(file, number + 1);
    if (!is_there(compressed(from))) return rename_if_there(from, to);
    remove_if_there(from);
    rename_if_there(compressed(from), compressed(to));
}

}  // namespace

fs::path rotation_lock_path(const fs::path& file) { return file.parent_path() / ('.' + file.filename().string() + ".lock"); }

std::optional<FileLock> lock_rotation(const fs::path& file) {
    for (int i = 0; i < kLockTries; ++i) {
        if (auto lock = FileLock::attempt(rotation_lock_path(file), FileLock::Mode::exclusive)) return lock;
        std::this_thread::sleep_for(kLockPause);
    }
    return {};
}

void shift_backups(const fs::path& file, int backup_count) {
    int free = 1;
    while (free < backup_count && is_taken(file, free)) ++free;
    remove(file, free);
    for (int number = free - 1; number >= 1; --number) move_up(file, number);
    rename_if_there(file, backup_path(file, 1));
    for (const auto& backup : backups_of(file))
        if (backup.number > backup_count) remove_if_there(backup.path);
}

bool remove_oldest_backup(const fs::path& file) {
    const auto backups = backups_of(file);
    if (backups.empty()) return false;
    remove(file, backups.front().number);
    return true;
}

bool put_compressed(const fs::path& file, const fs::path& whole, ino_t inode, off_t size) {
    for (const auto& backup : backups_of(file)) {
        struct stat status {};
        if (::stat(backup.path.c_str(), &status) != 0 || status.st_ino != inode || status.st_size != size) continue;
        const auto target = compressed(backup.path);
        if (::rename(whole.c_str(), target.c_str()) != 0) throw io_error("cannot rename", whole);
        return true;
    }
    return false;
}

void remove_compressed_twice(const fs::path& file) {
    for (const auto& backup : backups_of(file))
        if (!backup.is_compressed && is_there(compressed(backup.path))) remove_if_there(backup.path);
}

}  // namespace recto
