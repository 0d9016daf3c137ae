#include "log/meter.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/crypto.hpp"
#include "util/file.hpp"

namespace recto {
namespace {

using Word = std::uint64_t;
static_assert(std::atomic<Word>::is_always_lock_free);

// The file's tag in the upper 16 bits, 12 for the writers, 36 for the size.
constexpr Word kWriter = Meter::kMaxBytes;
constexpr Word kTagUnit = kWriter << 12;

constexpr Word size_in(Word word) { return word & (kWriter - 1); }
constexpr Word writers_in(Word word) { return (word & (kTagUnit - 1)) / kWriter; }
constexpr Word tag_in(Word word) { return word & ~(kTagUnit - 1); }

// Never 0, which is what a new word has. Two files with one tag: the other process notices a rotation by its next look at the name.
constexpr Word tag_of(ino_t inode) { return (inode % 0xFFFF + 1) * kTagUnit; }

}  // namespace

Meter::Meter(const std::filesystem::path& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) throw io_error("cannot open", path);
    // The block is allocated here: on a full disk that is an error, the first store to a hole would be a SIGBUS.
    errno = ::posix_fallocate(fd.get(), 0, sizeof(Word));
    if (errno != 0) throw io_error("cannot make room in", path);
    void* const memory = ::mmap(nullptr, sizeof(Word), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (memory == MAP_FAILED) throw io_error("cannot map", path);
    word_ = static_cast<std::atomic<Word>*>(memory);
}

Meter::~Meter() { ::munmap(word_, sizeof(Word)); }

Meter::Answer Meter::enter(ino_t inode, std::uint64_t bytes, std::uint64_t max_bytes) {
    auto word = word_->load();
    do {
        if (tag_in(word) != tag_of(inode)) return Answer::other_file;
        if (size_in(word) > 0 && size_in(word) + bytes > max_bytes) return Answer::full;
    } while (!word_->compare_exchange_weak(word, word + kWriter + bytes));
    return Answer::go_on;
}

bool Meter::leave(ino_t inode) {
    auto word = word_->load();
    do {
        if (tag_in(word) != tag_of(inode) || writers_in(word) == 0) return false;
    } while (!word_->compare_exchange_weak(word, word - kWriter));
    return writers_in(word) == 1;
}

bool Meter::is_of(ino_t inode) const { return tag_in(word_->load()) == tag_of(inode); }

std::uint64_t Meter::writers(ino_t inode) const {
    const auto word = word_->load();
    return tag_in(word) == tag_of(inode) ? writers_in(word) : 0;
}

void Meter::set(ino_t inode, std::uint64_t size, std::uint64_t seen) {
    auto word = word_->load();
    Word wanted = 0;
    do {
        const bool same_file = tag_in(word) == tag_of(inode);
        if (same_file && word != seen) return;
        wanted = tag_of(inode) + (same_file ? writers_in(word) * kWriter : 0) + size_in(size);
    } while (!word_->compare_exchange_weak(word, wanted));
}

void Meter::raise(ino_t inode, std::uint64_t size) {
    auto word = word_->load();
    while (tag_in(word) == tag_of(inode) && size_in(word) < size && size < kMaxBytes)
        if (word_->compare_exchange_weak(word, word - size_in(word) + size)) return;
}

std::filesystem::path meter_path(const std::filesystem::path& file, const std::filesystem::path& runtime_dir) {
    if (runtime_dir.empty()) return file.parent_path() / ('.' + file.filename().string() + ".meter");
    return runtime_dir / ("log.meter." + hex(hash128(file.lexically_normal().string())).substr(0, 16));
}

}  // namespace recto
