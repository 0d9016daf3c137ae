#include "log/read_lines.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/files.hpp"
#include "util/gunzip.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunk = 64 << 10;

std::runtime_error cannot_read(const fs::path& path, std::string_view how, std::string_view why) {
    return std::runtime_error("cannot read " + path.string() + std::string(how) + std::string(why));
}

struct stat status_of(const OpenedLog& log) {
    struct stat status {};
    if (::fstat(log.fd.get(), &status) != 0) throw io_error("cannot read", log.path);
    return status;
}

// The file from its beginning, until `take` has enough.
void read_bytes(const OpenedLog& log, const std::function<bool(std::string_view)>& take) {
    std::string buffer(kChunk, '\0');
    off_t offset = 0;
    for (;;) {
        const auto count = ::pread(log.fd.get(), buffer.data(), buffer.size(), offset);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw io_error("cannot read", log.path);
        if (count == 0 || !take(std::string_view(buffer).substr(0, static_cast<std::size_t>(count)))) return;
        offset += count;
    }
}

void read_plain(const OpenedLog& log, const LineTaker& take) {
    LineSplitter lines;
    read_bytes(log, [&](std::string_view bytes) {
        lines.feed(bytes, take);
        return true;
    });
    lines.finish(take);
}

// Of a damaged one the lines before the damage; the last may be a part of one.
void read_packed(const OpenedLog& log, const LineTaker& take) {
    LineSplitter lines;
    Gunzip unpacked([&](std::string_view bytes) { lines.feed(bytes, take); });
    read_bytes(log, [&](std::string_view bytes) { return unpacked.feed(bytes); });
    lines.finish(take);
    if (const auto problem = unpacked.finish(); !problem.empty()) throw cannot_read(log.path, " to its end: ", problem);
}

OpenedLog opened(const fs::path& name) {
    try {
        return {name, open_log(name)};
    } catch (const std::exception&) {
        return {name, {}, std::current_exception()};
    }
}

// The names may move on while we open them.
std::vector<OpenedLog> open_names(const LogHandler& handler) {
    std::vector<OpenedLog> logs;
    for (const auto& name : files_of(handler))
        if (auto log = opened(name); log.fd || log.problem) logs.push_back(std::move(log));
    return logs;
}

bool have_their_names(const std::vector<OpenedLog>& logs, const LogHandler& handler) {
    const auto is_named = [](const OpenedLog& log, const fs::path& name) {
        if (log.problem) return log.path == name;
        const auto status = status_of(log);
        return log.path == name && id_of(name) == FileId(status.st_dev, status.st_ino);
    };
    return std::ranges::equal(logs, files_of(handler), is_named);
}

}  // namespace

void LineSplitter::feed(std::string_view bytes, const LineTaker& take) {
    for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
        if (begun_.empty()) {
            take(bytes.substr(0, std::min(end, kMaxLine)));
        } else {
            add(bytes.substr(0, end));
            take(begun_);
            begun_.clear();
        }
        bytes.remove_prefix(end + 1);
    }
    add(bytes);
}

void LineSplitter::finish(const LineTaker& take) {
    if (!begun_.empty()) take(begun_);
    begun_.clear();
}

void LineSplitter::add(std::string_view bytes) { begun_ += bytes.substr(0, kMaxLine - begun_.size()); }

UniqueFd open_log(const fs::path& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!fd && (errno == ENOENT || errno == ENOTDIR)) return {};
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) throw io_error("cannot open", path);
    if (!S_ISREG(status.st_mode)) throw cannot_read(path, ": ", "not a file");
    return fd;
}

FileId id_of(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return {};
    return {status.st_dev, status.st_ino};
}

std::vector<OpenedLog> open_logs(const LogHandler& handler) {
    constexpr int kTries = 100;
    auto logs = open_names(handler);
    for (int i = 1; i < kTries && !have_their_names(logs, handler); ++i) logs = open_names(handler);
    return logs;
}

std::vector<fs::path> current_files(const LogHandler& handler) {
    if (handler.file.empty()) return {};
    if (!is_of_instances(handler.file)) return {handler.file};
    constexpr int kMaxInstance = 1000;
    std::vector<fs::path> files;
    for (int instance = 1; instance <= kMaxInstance; ++instance)
        if (auto file = file_of_instance(handler.file, instance); fs::exists(file)) files.push_back(std::move(file));
    return files;
}

void read_lines(const OpenedLog& log, const LineTaker& take) {
    if (log.problem) std::rethrow_exception(log.problem);
    if (is_packed_otherwise(log.path)) throw cannot_read(log.path, ": ", "of packed files only .gz can be read; unpack it");
    log.path.extension() == ".gz" ? read_packed(log, take) : read_plain(log, take);
}

}  // namespace recto
