// instance.hpp - this worker's number, for what each worker has of its own (a log file with `%i` in its name). Never the process's id: the
// worker that is started again goes on with the file of the one it replaces.
//
// $RECTO_INSTANCE says it, which recto@.service sets to the instance of the unit. Otherwise it is the lowest number that no process
// holds, and held until the process ends, however it ends (a lock on one byte of a small file in `runtime_dir`).
//
// Errors:   claim() throws std::system_error when the file can't be opened, std::runtime_error when 1,000 processes hold one, or when
//           the variable is no number of 1 to 1,000.
// Threads:  one thread claims; not shared across fork(): the child would hold its parent's number.
#pragma once

#include <filesystem>

#include "util/file.hpp"

namespace recto {

class Instance {
public:
    // Without a `runtime_dir` nobody can be asked: then it is the variable's, or 1.
    [[nodiscard]] static Instance claim(const std::filesystem::path& runtime_dir);

    [[nodiscard]] int number() const { return number_; }

private:
    Instance(UniqueFd lock, int number) : lock_(std::move(lock)), number_(number) {}

    UniqueFd lock_;
    int number_;
};

}  // namespace recto
